// Greets whoever asks, in JSON.
const express = require("express");
const { nanoid } = require("nanoid");

const app = express();
app.get("/hello/:name", (request, response) => {
  response.json({ text: `hello, ${request.params.name}`, id: nanoid() });
});

if (process.argv.includes("--check")) {
  console.log(`express ${require("express/package.json").version}`);
} else {
  app.listen(8001, "0.0.0.0");
}
