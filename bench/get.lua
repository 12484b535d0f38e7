-- wrk script: GET the keys of $KEYS, one per line, in order, over and over.
local requests, at, others = {}, 0, 0

function init()
  for line in io.lines(os.getenv("KEYS")) do
    requests[#requests + 1] = wrk.format("GET", "/" .. line)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
