local map, keys = {}, {}
for i = 0, 999 do
    local key = "host" .. i .. ".example.com"
    map[key] = i
    keys[#keys + 1] = key
end
local total = 0
for round = 1, 3000 do
    for _, key in ipairs(keys) do
        total = total + map[key]
    end
end
print(string.format("%.0f", total))
