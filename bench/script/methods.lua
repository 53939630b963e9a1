local Counter = {}
Counter.__index = Counter
function Counter:add(by)
    self.n = self.n + by
    return self
end
local counter = setmetatable({n = 0}, Counter)
for i = 0, 1999999 do
    counter:add(i)
end
print(string.format("%.0f", counter.n))
