// Compiles a .ksy file: node kaitai_compile.js FILE.ksy FOLDER, with NODE_PATH naming the packages.
// The folder then holds vfiipc.py and Vfiipc.js.
const fs = require("fs");
const path = require("path");
const yaml = require("js-yaml");
const compiler = require("kaitai-struct-compiler");

async function main(source, folder) {
  const declaration = yaml.load(fs.readFileSync(source, "utf8"));
  for (const language of ["python", "javascript"]) {
    const files = await compiler.compile(language, declaration, null, false);
    for (const [name, text] of Object.entries(files)) {
      fs.writeFileSync(path.join(folder, name), text);
    }
  }
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
