// OpenZeppelin's own tree over as many claims as it is told: seconds, the most memory, and the root.
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";

const accounts = Number(process.argv[2]);
const token = "0x" + "aa".repeat(20);
const values = [];
for (let number = 1; number <= accounts; number++) {
    const account = "0x" + number.toString(16).padStart(40, "0");
    values.push([account, token, (1_234_567_890_123_456_789n + BigInt(number)).toString()]);
}
const began = performance.now();
const tree = StandardMerkleTree.of(values, ["address", "address", "uint256"]);
const seconds = (performance.now() - began) / 1000;
const memory_bytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ accounts, seconds, memory_bytes, root: tree.root }));
