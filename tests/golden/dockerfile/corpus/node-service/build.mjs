import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync("package.json"));
mkdirSync("dist", { recursive: true });
writeFileSync("dist/server.js", readFileSync("src/server.js", "utf8").replace("__VERSION__", version));
writeFileSync(".cache/built", new Date().toISOString());
