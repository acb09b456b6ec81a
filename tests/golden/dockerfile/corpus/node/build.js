const fs = require("fs");
const ms = require("ms");

fs.mkdirSync("dist", { recursive: true });
for (const name of ["server.js", "health.js"]) {
  fs.copyFileSync(`src/${name}`, `dist/${name}`);
}
fs.writeFileSync("dist/timeout.txt", `${ms("30s")}\n`);
