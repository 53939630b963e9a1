local total = 0
for round = 1, 40 do
    local list = {}
    for i = 0, 99999 do
        list[#list + 1] = i
    end
    for i = 1, 100000 do
        total = total + list[i]
    end
end
print(string.format("%.0f", total))
