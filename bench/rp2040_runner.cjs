// The Cortex-M0+ of an RP2040 in rp2040js: runs a firmware of ours, counts the cycles spent at each address.
// usage: node rp2040_runner.cjs IMAGE RECORDS ANSWERS CYCLES      (rp2040js from where NODE_PATH says)
// The image lies where the boot ROM would: at address 0, read without waiting. Semihosting as in port_semihosting.c.
const fs = require("fs");
const { RP2040, LogLevel, ConsoleLogger } = require("rp2040js");

const [image, recordsPath, answersPath, cyclesPath] = process.argv.slice(2);
const chip = new RP2040();
chip.logger = new ConsoleLogger(LogLevel.Error, false);
const rom = fs.readFileSync(image);
const words = new Uint32Array(4096);
for (let i = 0; i + 3 < rom.length; i += 4) {
    words[i / 4] = rom.readUInt32LE(i);
}
if (rom.length > 16384) {
    throw new Error("the firmware is larger than the boot ROM");
}
chip.loadBootrom(words);
const core = chip.core0 ?? chip.core;
const records = fs.readFileSync(recordsPath);
const answers = [];
const cycles = new Map();
let position = 0;
let code = null;

const memory = (address) => chip.readUint8(address);
chip.onBreak = () => {
    const operation = core.registers[0];
    const block = core.registers[1];
    const argument = (n) => chip.readUint32(block + 4 * n);
    let result = 0;
    if (operation === 0x01) {
        result = memory(argument(0)) === "r".charCodeAt(0) ? 1 : 2; // records, answers
    } else if (operation === 0x06) {
        const part = records.subarray(position, position + argument(2));
        position += part.length;
        part.forEach((byte, i) => chip.writeUint8(argument(1) + i, byte));
        result = argument(2) - part.length;
    } else if (operation === 0x05) {
        for (let i = 0; i < argument(2); i++) {
            answers.push(memory(argument(1) + i));
        }
    } else if (operation === 0x20) {
        code = argument(1);
    }
    core.registers[0] = result;
};
core.SP = words[0];
core.PC = words[1] & ~1;
while (code === null) {
    const at = core.PC;
    const before = core.cycles;
    core.executeInstruction();
    cycles.set(at, (cycles.get(at) ?? 0) + core.cycles - before);
}
fs.writeFileSync(answersPath, Buffer.from(answers));
fs.writeFileSync(cyclesPath, JSON.stringify([...cycles]));
process.exit(code);
