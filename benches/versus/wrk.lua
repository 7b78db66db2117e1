-- Sends a body if asked to (`-- POST 64` after the address), or the cookies of a file in turn
-- (`-- COOKIES path`), and prints what wrk has seen as one line of JSON.
local threads = 0

setup = function(thread)
    thread:set("nth", threads)
    threads = threads + 1
end

-- Each of the two threads has its half of the cookies.
local rotate = function(path)
    local requests = {}
    local line = 0
    for cookie in io.lines(path) do
        if line % 2 == nth % 2 then
            wrk.headers["Cookie"] = cookie
            requests[#requests + 1] = wrk.format()
        end
        line = line + 1
    end
    local at = 0
    request = function()
        at = at % #requests + 1
        return requests[at]
    end
end

init = function(args)
    if args[1] == "COOKIES" then
        rotate(args[2])
    elseif args[1] then
        wrk.method = args[1]
        wrk.body = string.rep("x", tonumber(args[2]))
        wrk.headers["Content-Type"] = "application/octet-stream"
    end
end

done = function(summary, latency, requests)
    local errors = summary.errors
    print(string.format(
        'SEEN {"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "max_ms": %.4f, '
            .. '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}',
        summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
        errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
