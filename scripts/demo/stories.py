"""The four stories, and what stands around them: creation, migration, offline signing, device loss."""

from __future__ import annotations

import json
import signal

from scripts.demo.stage import Stage

WOULD_LINK = 3
"""Exit code of a command that would tie identities together, and of other bad input."""

REFUSED = 4
"""Exit code of what does not verify."""


def nodes(stage: Stage) -> None:
    """Start three nodes: two that host people, and one that keeps records."""
    stage.say(
        "Three nodes",
        "Somebody runs each of them. A node keeps what is sent to it, and what is sealed it cannot read.",
    )
    for name in ("north", "south", "west"):
        stage.run(f"walletcli node init {name}", wordless=True)
        stage.start_node(name)
    print("Each address names the node's key: whoever dials it reaches this node and no other.")
    for name, guest in (("north", "alice"), ("south", "bob"), ("south", "alice")):
        invitation = stage.ask(f"walletcli node invite {name}")["token"]
        stage.write(f"{guest}-{name}.invitation", invitation + "\n")


def creation(stage: Stage) -> None:
    """Story 1: two people, two wallets; each has a provider; they become contacts."""
    north, south, west = (stage.addresses[name] for name in ("north", "south", "west"))
    stage.say(
        "1. Creation",
        "24 words are the wallet. Unattended they go to a file of their owner's; on a terminal they are shown once.",
    )
    for home, relays in (("alice", (north, west)), ("bob", (south, west))):
        stage.make_wallet(home)
        for relay in relays:
            stage.run(f"walletcli --home {home} relay add {relay}", wordless=True)
        stage.run(f"walletcli --home {home} identity create {home}", show=False)
    words = stage.path("alice.words")
    stage.check("the file with the words is for its owner alone", words.stat().st_mode & 0o777 == 0o600)
    stage.run("walletcli --home alice identity set alice name 'Alice A.' --public", show=False)
    stage.run("walletcli --home alice identity set alice tel '+49 30 1234567' --sealed", show=False)
    print("\nNorth hosts by invitation. What it will keep has a second place from the start: the exit kit.")
    stage.run(
        f"walletcli --home alice provider bind alice {north} --kit alice-kit --invitation-file alice-north.invitation"
    )
    stage.run(
        f"walletcli --home bob provider bind bob {south} --no-kit --invitation-file bob-south.invitation", show=False
    )
    stage.write("sources.txt", "what nobody but Alice may read\n")
    stage.run("walletcli --home alice data put alice sources.txt")

    print("\nBob knows Alice's id and a node. He trusts neither the node nor the wire.")
    did = _did(stage, "alice")
    stage.run(f"walletcli --home bob resolve {did} --relay {west}")
    found = stage.ask(f"walletcli --home bob resolve {did} --relay {west}")
    stage.check("Bob has Alice's document, verified", found["did"] == did and found["document"] is not None)
    stage.check("and in it what she said in public", "Alice A." in json.dumps(found["document"], ensure_ascii=False))
    stage.check("and who hosts her, signed by both", [item["state"] for item in found["bindings"]] == ["valid"])
    _become_contacts(stage)


def _become_contacts(stage: Stage) -> None:
    print("\nThey exchange cards, compare safety words, and sign that they know each other.")
    stage.run("walletcli --home alice contact card --out alice.card", show=False)
    stage.run("walletcli --home bob contact card --name Bob --out bob.card", show=False)
    stage.run("walletcli --home bob contact add alice.card")
    stage.run("walletcli --home alice contact add bob.card", show=False)
    hers, his = (
        stage.ask(f"walletcli --home {home} contact verify '{other}' --yes")
        for home, other in (("alice", "Bob"), ("bob", "Alice A."))
    )
    print("\nsafety words of both: " + " ".join(hers["words"]))
    stage.check("both see the same twelve words", hers["words"] == his["words"])
    stage.run("walletcli --home alice contact relate Bob --out for-bob.relation", show=False)
    stage.run(
        "walletcli --home bob contact relate 'Alice A.' --accept for-bob.relation --out answer.relation", show=False
    )
    stage.run("walletcli --home alice contact relate Bob --complete answer.relation", show=False)
    print("\nA sealed attribute is shared with Bob: it travels in Alice's record, and only he can read it.")
    stage.run("walletcli --home alice contact share Bob tel", show=False)
    stage.run("walletcli --home alice publish alice", show=False)
    stage.run("walletcli --home bob contact refresh", show=False)
    stage.run("walletcli --home bob contact show 'Alice A.'")
    print("\nUnlocked wallets do this by themselves from time to time: changes go, sealed, to provider and exit kit.")
    stage.run("walletcli --home alice sync alice")


def two_names(stage: Stage) -> None:
    """Show that two identities are not tied together by accident."""
    stage.say(
        "Two names, one owner",
        "Hardened keys of one seed: nothing that is published ties two identities together. But a node that\n"
        "one machine tells both can guess that they are one person. The tool says so first.",
    )
    stage.run("walletcli --home alice identity create pseudonym", show=False)
    stage.run("walletcli --home alice identity list")
    stage.run("walletcli --home alice publish pseudonym", fails_with=WOULD_LINK)


def migration(stage: Stage) -> None:
    """Story 3: the provider dies, and comes back with the state of an older day."""
    did, west = _did(stage, "alice"), stage.addresses["west"]
    stage.say("2. The provider dies", "kill -9, and it does not come back. Its last backup is from now.")
    stage.run("walletcli node backup north north.backup", show=False)
    old_seq = stage.ask(f"walletcli --home alice resolve {did} --relay {west}")["seq"]
    stage.end_node("north", signal.SIGKILL)
    south = stage.addresses["south"]
    stage.run(f"walletcli --home alice relay remove {stage.addresses['north']}", show=False)
    print("\nAlice moves without it: a grant from south, one signature, her data from the exit kit.")
    stage.run(f"walletcli --home alice provider migrate alice {south} --invitation-file alice-south.invitation")
    stage.run("walletcli --home alice data get alice sources.txt --out back.txt", show=False)
    stage.check(
        "the sealed file is back, from the new provider",
        stage.path("back.txt").read_bytes() == stage.path("sources.txt").read_bytes(),
    )
    print("\nNobody tells Bob. His wallet looks its contacts up, over relays that do not know whom he knows.")
    stage.run("walletcli --home bob contact refresh")
    new_seq = stage.ask(f"walletcli --home bob resolve {did} --relay {west}")["seq"]
    stage.check("Bob has the newer record", new_seq > old_seq)

    print("\nNorth comes back, set to an older day, and gives Alice's old record to whoever asks.")
    stage.run("walletcli node restore north.backup north-of-old", show=False)
    stage.restart_node("north", "north-of-old")
    stage.run(f"walletcli --home bob resolve {did} --relay {stage.addresses['north']}", fails_with=REFUSED)


def offline_signing(stage: Stage) -> None:
    """Story 4: the machine with the words has no network."""
    stage.say(
        "3. Offline signing",
        "One machine has the words and no network; the other has the network and no words. Files travel between them.",
    )
    stage.make_wallet("cold")
    stage.make_wallet("online", "--watch")
    stage.run(f"walletcli --home online relay add {stage.addresses['west']}", wordless=True)
    stage.run(
        "walletcli --home online request make --new carol --public name='Carol C.' --out carol.request", show=False
    )
    stage.run("walletcli --home cold --offline request show carol.request")
    digest = stage.ask("walletcli --home cold --offline request show carol.request")["request"]["digest"]
    stage.run(
        f"walletcli --home cold --offline request approve carol.request --digest {digest} --yes --accept device"
        " --out carol.response --password-file cold.password",
        show=False,
    )
    stage.run("walletcli --home online request apply carol.response", show=False)
    stage.run("walletcli --home online publish carol")
    stage.check(
        "the identity is on the network", stage.ask("walletcli --home online resolve carol")["document"] is not None
    )
    print("\nThe same answer a second time is refused.")
    stage.run("walletcli --home online request apply carol.response", fails_with=REFUSED)


def device_loss(stage: Stage) -> None:
    """Story 2: the computer is gone, and the words are left."""
    did = _did(stage, "alice")
    stage.say("4. Device loss", "Alice's computer is gone, and her exit kit with it. The words are left.")
    stage.run("walletcli --home alice wallet wipe --yes", show=False)
    stage.path("alice-kit").rename(stage.path("lost-kit"))
    stage.write("again.password", "the long password of again\n")
    relays = " ".join(f"--relay {stage.addresses[name]}" for name in ("south", "west", "north"))
    restore = "wallet restore --mnemonic-file alice.words --password-file again.password --yes"
    stage.run(f"walletcli --home again {restore} {relays}")
    stage.unlock("again")
    stage.run("walletcli --home again contact list --as alice")
    contacts = stage.ask("walletcli --home again contact list --as alice")["contacts"]
    stage.check("her contact is back", [item["name"] for item in contacts] == ["Bob"])
    stage.run("walletcli --home again data get alice sources.txt --out again.txt", show=False)
    stage.check(
        "and what she had sealed", stage.path("again.txt").read_bytes() == stage.path("sources.txt").read_bytes()
    )
    devices = stage.ask("walletcli --home again device list alice")["devices"]
    stage.check("the lost computer no longer acts for her", len(devices) == 1)
    seq = stage.ask(f"walletcli --home bob resolve {did} --relay {stage.addresses['west']}")["seq"]
    stage.run("walletcli --home bob contact refresh", show=False)
    print(f"Bob follows her newest record: seq {seq}")


def network(stage: Stage) -> None:
    """Show that a record outlives every node that ever had it."""
    did = _did(stage, "alice", "again")
    stage.say(
        "5. The last node",
        "Sixteen nodes of strangers keep a DHT among themselves: libtorrent, which knows nothing of walletcli.\n"
        "East takes part in it. Alice publishes there too, and East asks the strangers who of them has it.",
    )
    stage.start_strangers(16)
    stage.run("walletcli node init east", wordless=True)
    stage.join_dht("east")
    stage.start_node("east")
    stage.run(f"walletcli --home again publish alice --relay {stage.addresses['east']}")
    newest = stage.ask(f"walletcli --home bob resolve {did} --relay {stage.addresses['west']}")
    print("\nEast is killed, and the others stop as their operators would. No node is left that Alice ever spoke to.")
    stage.end_node("east", signal.SIGKILL)
    stage.check(
        "they stopped cleanly",
        [stage.end_node(name, signal.SIGTERM) for name in ("south", "west", "north-of-old")] == [0, 0, 0],
    )
    print("\nHarbour is new and has nothing. It finds Alice's record among the strangers; Bob has what it names.")
    stage.run("walletcli node init harbour", wordless=True)
    stage.join_dht("harbour")
    stage.start_node("harbour")
    harbour = stage.addresses["harbour"]
    stage.run(f"walletcli --home bob resolve {did} --relay {harbour}")
    found = stage.ask(f"walletcli --home bob resolve {did} --relay {harbour}")
    stage.check("her newest record outlived all its nodes", found["seq"] == newest["seq"])


def the_end(stage: Stage) -> None:
    """Stop the last node as its operator would."""
    stage.say("The end", "The last node stops as its operator would stop it.")
    stage.check("it stopped cleanly", stage.end_node("harbour", signal.SIGTERM) == 0)


STORIES = (nodes, creation, two_names, migration, offline_signing, device_loss, network, the_end)
"""What is played, in this order."""


def _did(stage: Stage, label: str, home: str | None = None) -> str:
    identities = stage.ask(f"walletcli --home {home or label} identity list")["identities"]
    return str(next(item["did"] for item in identities if item["label"] == label))
