const ms = require("ms");
require("http")
  .createServer((_, response) => response.end(ms(process.uptime() * 1000) + "\n"))
  .listen(3000);
