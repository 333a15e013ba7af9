-- Load generator of the benches, part 2: the full rate, by wrk. benches/run starts it.
-- wrk -t2 -c64 -d30s --latency -s replay.lua http://127.0.0.1:8080 -- out/d 2 [once]      (2 = the same number as -t)
-- Replays the signed requests that gen_deliveries.py wrote (OUT.blob/.idx) at wrk's full rate; every thread takes its own slice.
-- 'once': a thread stops when its slice is used up (no delivery id is sent twice; the last in-flight answers go uncounted).
-- Without it the slice is replayed again from its start, so later rounds are repeats of known delivery ids: size N for that.
local threads = {}
function setup(t) t:set("tid", #threads); table.insert(threads, t) end -- init of thread k runs before setup of k+1: nthreads must be told
function init(args)
  local base, idx, k = args[1], {}, 0
  local nthreads = assert(tonumber(args[2]), "give the thread count after the path"); once = args[3] == "once"
  reqs, n, sent, wraps, st = {}, 0, 0, 0, {}
  for l in io.lines(base .. ".idx") do
    if k % nthreads == tid then local a, b = l:match("(%d+) (%d+)"); idx[#idx + 1] = { tonumber(a), tonumber(b) } end
    k = k + 1
  end
  local f = assert(io.open(base .. ".blob", "rb"))
  for i, e in ipairs(idx) do f:seek("set", e[1]); reqs[i] = f:read(e[2]) end
  f:close(); n = #reqs; s2, s3, s4, s5, s401, s429 = 0, 0, 0, 0, 0, 0
end
function request()
  sent = sent + 1
  if sent > n then
    if once then wrk.thread:stop() end
    wraps = math.floor((sent - 1) / n)
  end
  return reqs[(sent - 1) % n + 1]
end
function response(status)
  if status < 300 then s2 = s2 + 1 elseif status < 400 then s3 = s3 + 1 elseif status < 500 then s4 = s4 + 1 else s5 = s5 + 1 end
  if status == 401 or status == 403 then s401 = s401 + 1 elseif status == 429 then s429 = s429 + 1 end
end
function done(sum, lat, req)
  local t = { sent = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s401 = 0, s429 = 0 }; local w = 0
  for _, x in ipairs(threads) do for k in pairs(t) do t[k] = t[k] + (x:get(k) or 0) end; w = math.max(w, x:get("wraps") or 0) end
  local s = sum.duration / 1e6
  print(string.format('RESULT {"seconds":%.2f,"requests":%d,"req_s":%.0f,"mb_s":%.1f,"p50_ms":%.2f,"p90_ms":%.2f,"p99_ms":%.2f,"p999_ms":%.2f,"max_ms":%.2f,"s2xx":%d,"s3xx":%d,"s4xx":%d,"s401_403":%d,"s429":%d,"s5xx":%d,"connect_err":%d,"read_err":%d,"write_err":%d,"timeouts":%d,"rounds":%d}',
    s, sum.requests, sum.requests / s, sum.bytes / s / 1e6, lat:percentile(50) / 1e3, lat:percentile(90) / 1e3, lat:percentile(99) / 1e3, lat:percentile(99.9) / 1e3, lat.max / 1e3,
    t.s2, t.s3, t.s4, t.s401, t.s429, t.s5, sum.errors.connect, sum.errors.read, sum.errors.write, sum.errors.timeout, w + 1))
end
