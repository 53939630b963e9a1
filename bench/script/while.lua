local n = 27000000
local odd = 0
while n > 1 do
    if n % 2 == 1 then
        odd = odd + 1
    end
    n = n - 1
end
print(string.format("%.0f", odd))
