require("http")
  .createServer((_, answer) => answer.end("service __VERSION__\n"))
  .listen(3000);
