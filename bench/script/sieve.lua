local function sieve(n)
    local flags = {}
    for i = 0, n do
        flags[#flags + 1] = true
    end
    local count = 0
    for i = 2, n do
        if flags[i + 1] then
            count = count + 1
            for k = i + i, n, i do
                flags[k + 1] = false
            end
        end
    end
    return count
end
print(string.format("%.0f", sieve(2000000)))
