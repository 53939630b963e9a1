local length = 0
for round = 1, 200 do
    local parts = {}
    for i = 1, 10000 do
        parts[#parts + 1] = "x-header: value\r\n"
    end
    length = length + #table.concat(parts)
end
print(string.format("%.0f", length))
