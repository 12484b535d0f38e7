"""The style sheet of the operator's status page: light and dark, from a phone's width up, no external parts."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--ground:#f5f6f8;--card:#fff;--ink:#16202c;--quiet:#5b6878;--line:#dfe4ea;
--accent:#2456c9;
--good:#17794a;--good-bg:#e3f4ea;--bad:#b3261e;--bad-bg:#fbe6e4;--warn:#8a5a00;--warn-bg:#fdf1d8}
@media (prefers-color-scheme:dark){:root{--ground:#0e1319;--card:#171e27;--ink:#e6ebf2;--quiet:#97a4b5;--line:#28323f;
--accent:#84a9ff;--good:#6fd3a0;--good-bg:#123323;--bad:#ff9d94;--bad-bg:#3b1715;--warn:#f0c674;--warn-bg:#362a10}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:66rem;margin:0 auto;padding:2rem 1.25rem 3rem}
header{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem 1rem;margin-bottom:1.25rem}
h1{font-size:1.5rem;line-height:1.2;margin:0;font-weight:650;letter-spacing:-.01em}
h2{font-size:.8rem;margin:0 0 .75rem;color:var(--quiet);font-weight:600;text-transform:uppercase;letter-spacing:.06em}
.state{font-size:.85rem;font-weight:600;padding:.15rem .7rem;border-radius:1rem}
.good{color:var(--good);background:var(--good-bg)}.bad{color:var(--bad);background:var(--bad-bg)}
.note{margin:0 0 1rem;padding:.7rem 1rem;border-radius:.6rem;color:var(--warn);background:var(--warn-bg)}
.quiet{color:var(--quiet);font-size:.85rem}
.tiles{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:.75rem;margin-bottom:.75rem}
@media (min-width:34rem){.tiles{grid-template-columns:repeat(3,minmax(0,1fr))}}
@media (min-width:62rem){.tiles{grid-template-columns:repeat(6,minmax(0,1fr))}}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1rem 1.1rem}
.tile b{display:block;font-size:1.5rem;line-height:1.25;font-weight:650;font-variant-numeric:tabular-nums;
letter-spacing:-.02em}
.tile span{color:var(--quiet);font-size:.85rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:.75rem}
section{min-width:0;margin-bottom:.75rem}
.pair section{margin:0}
dl{margin:0;display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.35rem 1.25rem}
dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
code{font:.86em/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
svg{display:block;width:100%;height:4.5rem}
svg rect{fill:var(--accent)}svg line{stroke:var(--line)}
meter{width:100%;height:.7rem;margin:.1rem 0 .3rem}
footer{margin-top:1.25rem}
"""
