const fs = require("fs");
const { version } = require("depd/package.json");
const mode = process.argv[2];
fs.mkdirSync("dist", { recursive: true });
fs.writeFileSync("dist/index.html", `<p>${mode} of ${process.env.API_URL} with depd ${version}</p>\n`);
