local length = 0
for i = 0, 1999999 do
    local address = "user" .. i .. "@" .. "example.com"
    length = length + #address
end
print(string.format("%.0f", length))
