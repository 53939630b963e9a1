local counts = {}
for round = 0, 29 do
    for i = 0, 99999 do
        local key = "key" .. i
        counts[key] = (counts[key] or 0) + 1
    end
end
local sum = 0
for key, count in pairs(counts) do sum = sum + count end
print(sum)
