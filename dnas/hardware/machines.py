"""Published peaks of common devices, for the roofline estimate (`dnas.hardware.roofline`).

Peaks are of dense arithmetic, without structured sparsity; `float32` on GPUs is that of the ordinary units, not TF32.
Where a source says *checked*, the figures were compared with a published table while this file was written; figures
marked *recalled* were not, and *derived* ones are products of published counts of units and clock rates. Launch
overheads are assumptions throughout: 5 us for a GPU in a workstation or server and 10 us for one behind a small
board's processor, the order of what empty kernels take; 1 us for a TPU, whose compiler lays out a whole program; 0 for
processors, whose runtimes call a function for each layer.

How far to trust this: HW-NAS-Bench (arXiv:2103.10584) publishes measured latencies of NAS-Bench-201 networks. On 800
random ones (CIFAR-10, 16 channels, 5 cells a stage, batch 1) the estimates rank them as follows, by Spearman's
correlation, and the measured time is so many times the estimate (median, and from the 5th to the 95th percentile):

| machine | measured on | estimate | multiply-adds alone | measured / estimate |
| --- | --- | --- | --- | --- |
| `raspi4` | Raspberry Pi 4 | 0.90 | 0.86 | 10.6 (3.7 to 15.7) |
| `pixel3` | Pixel 3 | 0.86 | 0.83 | 4.1 (1.8 to 7.7) |
| `jetson-tx2` | Jetson TX2 ("EdgeGPU") | 0.80 | 0.47 | 4.1 (2.2 to 5.9) |
| `coral` | Edge TPU, of the networks that ran on it | 0.74 | 0.25 | 12.7 (7.8 to 19.0) |

So the estimate is a lower bound that ranks: compare networks with it, and measure before milliseconds matter.
"""

from dnas.errors import unknown
from dnas.hardware.roofline import Machine

T, G = 1e12, 1e9
GPU_LAUNCH, BOARD_LAUNCH, TPU_LAUNCH = 5e-6, 10e-6, 1e-6


def machine(name: str) -> Machine:
    """Return the machine called `name`; `UserError` with the nearest name if there is none."""
    every = {one.name: one for one in MACHINES}
    if name not in every:
        raise unknown("machine", name, every)
    return every[name]


_GPUS = (
    Machine(
        "t4",
        "NVIDIA T4",
        {"float32": 8.1 * T, "float16": 65 * T, "int8": 130 * T},
        320 * G,
        GPU_LAUNCH,
        "NVIDIA T4 data sheet; float32, float16 and bandwidth checked, int8 recalled",
    ),
    Machine(
        "v100",
        "NVIDIA V100 SXM2",
        {"float32": 15.7 * T, "float16": 125 * T},
        900 * G,
        GPU_LAUNCH,
        "NVIDIA V100 data sheet; checked",
    ),
    Machine(
        "a100",
        "NVIDIA A100 SXM 40 GB",
        {"float32": 19.5 * T, "bfloat16": 312 * T, "float16": 312 * T, "int8": 624 * T},
        1555 * G,
        GPU_LAUNCH,
        "NVIDIA A100 data sheet; checked but for int8, which is recalled",
    ),
    Machine(
        "h100",
        "NVIDIA H100 SXM",
        {"float32": 67 * T, "bfloat16": 989 * T, "float16": 989 * T, "int8": 1979 * T},
        3350 * G,
        GPU_LAUNCH,
        "NVIDIA H100 data sheet; float32 and bandwidth checked, the others half of what it states with sparsity",
    ),
    Machine(
        "h200",
        "NVIDIA H200 SXM",
        {"float32": 67 * T, "bfloat16": 989 * T, "float16": 989 * T, "int8": 1979 * T},
        4800 * G,
        GPU_LAUNCH,
        "NVIDIA H200 data sheet; recalled",
    ),
    Machine(
        "l4",
        "NVIDIA L4",
        {"float32": 30.3 * T, "bfloat16": 121 * T, "float16": 121 * T, "int8": 242.5 * T},
        300 * G,
        GPU_LAUNCH,
        "NVIDIA L4 data sheet; checked, tensor-core rates half of what it states with sparsity",
    ),
    Machine(
        "rtx3090",
        "NVIDIA GeForce RTX 3090",
        {"float32": 35.6 * T, "bfloat16": 71 * T, "float16": 71 * T},
        936 * G,
        GPU_LAUNCH,
        "NVIDIA Ampere GA102 white paper; float32 checked, the others recalled, with sums in float32",
    ),
    Machine(
        "rtx4090",
        "NVIDIA GeForce RTX 4090",
        {"float32": 82.6 * T, "bfloat16": 165.2 * T, "float16": 165.2 * T},
        1008 * G,
        GPU_LAUNCH,
        "NVIDIA Ada white paper; float32 and bandwidth checked, the others recalled, with sums in float32",
    ),
)
_JETSONS = (
    Machine(
        "jetson-nano",
        "NVIDIA Jetson Nano (128 Maxwell cores, 921.6 MHz)",
        {"float32": 235.9 * G, "float16": 471.8 * G},
        25.6 * G,
        BOARD_LAUNCH,
        "NVIDIA Jetson Nano data sheet; float16 and bandwidth checked, float32 derived",
    ),
    Machine(
        "jetson-tx2",
        "NVIDIA Jetson TX2 (256 Pascal cores, 1.3 GHz)",
        {"float32": 665 * G, "float16": 1330 * G},
        59.7 * G,
        BOARD_LAUNCH,
        "NVIDIA Jetson TX2 data sheet; recalled, float32 derived",
    ),
    Machine(
        "jetson-orin-nano",
        "NVIDIA Jetson Orin Nano 8 GB (1024 Ampere cores, 625 MHz)",
        {"float32": 1.28 * T, "float16": 10 * T, "int8": 20 * T},
        68 * G,
        BOARD_LAUNCH,
        "NVIDIA Jetson Orin Nano data sheet; bandwidth and int8 (half of 40 with sparsity) checked, float32 derived, "
        "float16 recalled",
    ),
)
_TPUS = (
    Machine(
        "tpu-v2",
        "Google TPU v2 chip",
        {"bfloat16": 46 * T},
        700 * G,
        TPU_LAUNCH,
        "Cloud TPU documentation; recalled",
    ),
    Machine(
        "tpu-v3",
        "Google TPU v3 chip",
        {"bfloat16": 123 * T},
        900 * G,
        TPU_LAUNCH,
        "Cloud TPU documentation; checked",
    ),
    Machine(
        "tpu-v4",
        "Google TPU v4 chip",
        {"bfloat16": 275 * T, "int8": 275 * T},
        1200 * G,
        TPU_LAUNCH,
        "Cloud TPU documentation; checked second-hand",
    ),
    Machine(
        "tpu-v5e",
        "Google TPU v5e chip",
        {"bfloat16": 197 * T, "int8": 393 * T},
        819 * G,
        TPU_LAUNCH,
        "Cloud TPU documentation; checked",
    ),
    Machine(
        "tpu-v6e",
        "Google TPU v6e chip",
        {"bfloat16": 918 * T, "int8": 1836 * T},
        1600 * G,
        TPU_LAUNCH,
        "Cloud TPU documentation; checked",
    ),
)
_SMALL = (
    Machine(
        "pixel3",
        "Google Pixel 3, one big core (Kryo 385 Gold, 2.5 GHz)",
        {"float32": 40 * G},
        29.9 * G,
        0.0,
        "Qualcomm Snapdragon 845 product brief for the memory, recalled; derived from two 128-bit multiply-add units, "
        "recalled of the Arm Cortex-A75 optimisation guide",
    ),
    Machine(
        "snapdragon8gen3",
        "Qualcomm Snapdragon 8 Gen 3, its prime core (Cortex-X4, 3.3 GHz)",
        {"float32": 105.6 * G},
        76.8 * G,
        0.0,
        "Qualcomm Snapdragon 8 Gen 3 product brief for clock and memory, recalled; derived from four 128-bit "
        "multiply-add units, recalled",
    ),
    Machine(
        "a17pro",
        "Apple A17 Pro, its neural engine",
        {"int8": 35 * T},
        51.2 * G,
        0.0,
        "Apple's announcement of 35 trillion operations a second, recalled; that they are int8, and the bandwidth of "
        "LPDDR5-6400, are assumptions",
    ),
    Machine(
        "raspi4",
        "Raspberry Pi 4 (four Cortex-A72, 1.5 GHz)",
        {"float32": 48 * G},
        12.8 * G,
        0.0,
        "Raspberry Pi 4 product brief; clock and LPDDR4-3200 checked, 32 bits wide recalled; derived from one 128-bit "
        "multiply-add a cycle and core, recalled",
    ),
    Machine(
        "raspi5",
        "Raspberry Pi 5 (four Cortex-A76, 2.4 GHz)",
        {"float32": 153.6 * G},
        17.1 * G,
        0.0,
        "Raspberry Pi 5 product brief; clock and LPDDR4X-4267 checked, 32 bits wide recalled; derived from two 128-bit "
        "multiply-adds a cycle and core, recalled",
    ),
    Machine(
        "coral",
        "Google Coral Edge TPU",
        {"int8": 4 * T},
        30.7 * G,
        0.0,
        "Coral data sheet for 4 trillion operations a second, recalled; the bandwidth, 64 bytes a cycle of its memory "
        "on chip at 480 MHz, is an assumption, and networks that do not fit there are slower",
    ),
    Machine(
        "laptop-core",
        "one core of a laptop's processor (AVX2, 3 GHz)",
        {"float32": 96 * G},
        20 * G,
        0.0,
        "no particular product: derived from two 256-bit multiply-adds a cycle; the bandwidth is an assumption",
    ),
)

MACHINES: tuple[Machine, ...] = (*_GPUS, *_JETSONS, *_TPUS, *_SMALL)
"""All machines."""
