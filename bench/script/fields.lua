local transaction = {senderaddress = {localpart = "a", domain = "b.example"}, recipients = 3, size = 1000}
local total = 0
for i = 0, 4999999 do
    total = total + transaction["size"]
    transaction["recipients"] = i
end
print(string.format("%.0f", total + transaction["recipients"]))
