-- wrk script: GET the keys of $KEYS, one per line, in order, over and over.
local requests, at = {}, 0

function init()
  for line in io.lines(os.getenv("KEYS")) do
    requests[#requests + 1] = wrk.format("GET", "/" .. line)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
  io.write(string.format('{"answered": %d, "refused": %d, "seconds": %.6f}\n',
    summary.requests, failed + summary.errors.timeout, summary.duration / 1e6))
end
