-- wrk script: PUT every line "z32 hex(payload)" of $PACKETS once, then stop. Prints a line of JSON at the end.
-- Requests are built before the clock starts.
local requests, sent, answered, others = {}, 0, 0, 0

function init()
  for line in io.lines(os.getenv("PACKETS")) do
    local key, hex = line:match("(%S+) (%S+)")
    local body = hex:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end)
    requests[#requests + 1] = wrk.format("PUT", "/" .. key, nil, body)
  end
end

function request()
  if sent < #requests then sent = sent + 1 end
  return requests[sent]
end

-- Only the first #requests answers count; what is in flight by then repeats the last packet.
function response(status)
  if status ~= 204 then others = others + 1 end
  answered = answered + 1
  if answered == #requests then
    io.write(string.format('{"other_than_204": %d, "answered": %d}\n', others, answered))
    io.flush()
    wrk.thread:stop()
  end
end
