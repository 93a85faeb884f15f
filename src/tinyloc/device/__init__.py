"""From C to a measured answer: boards, compilers, emulated chips, and what a step costs on them.

Read in this order: `boards` (which chip), `toolchains` (C to `Firmware`), `emulators` (`Firmware` and samples
to `DeviceRun`), `tiers` (which pairs of the two this computer has), `cost` (counts to cycles to energy).
Nothing here imports torch.
"""
