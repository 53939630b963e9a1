local Counter = {}
Counter.__index = Counter
function Counter:add(by) self.n = self.n + by; return self end
local c = setmetatable({ n = 0 }, Counter)
for i = 1, 5000000 do c:add(1) end
print(c.n)
