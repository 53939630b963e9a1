local sum = 0
for i = 1, 30000000 do
    sum = sum + i * 2
end
print(string.format("%.0f", sum))
