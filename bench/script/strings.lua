local total = 0
for round = 0, 49 do
    local parts = {}
    for i = 0, 99999 do parts[#parts + 1] = "item " .. i .. "\n" end
    total = total + #table.concat(parts)
end
print(total)
