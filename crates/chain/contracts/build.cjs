// node build.cjs MODULES [OUTPUT]: compiles the contracts with the solc of the folder MODULES (npm's node_modules) and
// writes their interfaces and bytecode to OUTPUT, or prints them. The same sources and versions give the same bytes.
"use strict";

const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");

const [modules, output] = process.argv.slice(2);
if (!modules) {
  console.error("usage: node build.cjs MODULES [OUTPUT]");
  process.exit(2);
}
const solc = createRequire(path.resolve(modules, "index.js"))("solc");

const NAMES = ["Distributor", "TestToken"];
const input = {
  language: "Solidity",
  sources: Object.fromEntries(
    NAMES.map((name) => [`${name}.sol`, { content: fs.readFileSync(path.join(__dirname, `${name}.sol`), "utf8") }]),
  ),
  settings: {
    evmVersion: "cancun",
    optimizer: { enabled: true, runs: 200 },
    // no hash of the sources in the bytecode: their comments and the compiler's paths decide no byte of it
    metadata: { appendCBOR: false, bytecodeHash: "none" },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
};
const load = (file) => {
  const found = path.join(modules, file);
  return fs.existsSync(found) ? { contents: fs.readFileSync(found, "utf8") } : { error: `${file} is not in ${modules}` };
};
const compiled = JSON.parse(solc.compile(JSON.stringify(input), { import: load }));
const problems = compiled.errors ?? [];
for (const problem of problems) console.error(problem.formattedMessage);
if (problems.length > 0) process.exit(1);

const contracts = Object.fromEntries(
  NAMES.map((name) => {
    const { abi, evm } = compiled.contracts[`${name}.sol`][name];
    const bytecode = `0x${evm.bytecode.object}`;
    return [name, { abi, bytecode, deployedBytes: evm.deployedBytecode.object.length / 2 }];
  }),
);
const text = `${JSON.stringify({ compiler: solc.version(), contracts }, null, 1)}\n`;
if (output) fs.writeFileSync(output, text);
else process.stdout.write(text);
