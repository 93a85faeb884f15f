"""Where each walk lies in the public repository, and how to know it: path -> (URL path, bytes, SHA-256).

The names there say which of the two phones recorded. The car park's files are those of `raw_data/`: of the
same walks `CarPark/` holds another form, with other columns of distance.
"""

from __future__ import annotations

REPOSITORY = "https://github.com/haiyaoyu/RTT-Indoor-localization-data-set"
RAW = "https://raw.githubusercontent.com/haiyaoyu/RTT-Indoor-localization-data-set"
LIBRARY_COMMIT = "e13d6bfdd54667373349379bb80dcb1e60fc508e"
COMMIT = "d109fe88ca1691045b9fa49f03412829807b98f9"
CARPARK_COMMIT = "52770e73ff764c979bff3735ef336091d2f564b1"

FILES: dict[str, tuple[str, int, str]] = {
    "canteen/walk1_phone13.csv": (
        f"{COMMIT}/Canteen/circle1_15_33/M1_13_mod.csv",
        486306,
        "165cbec18f170dc1948087c2b71ac0d700e6efe501dce40b83c50b1dcc7e4f3a",
    ),
    "canteen/walk1_phone24.csv": (
        f"{COMMIT}/Canteen/circle1_15_33/M2_24_mod.csv",
        517891,
        "1616d4e1accbcb6915042b20e871ca0c0912579a27d2e05c6f8412954921fb0e",
    ),
    "canteen/walk2_phone13.csv": (
        f"{COMMIT}/Canteen/circle2_15_46/M1_13_mod.csv",
        617201,
        "02a4a581cad9028128229f28915c25a940d054de413effcb3c91886bf83c1722",
    ),
    "canteen/walk2_phone24.csv": (
        f"{COMMIT}/Canteen/circle2_15_46/M2_24_mod.csv",
        224499,
        "cb51314fe67444052dccb41b3d7b6e2d5b9d65788dbbd25a3d7d3b032cd12857",
    ),
    "canteen/walk3_phone13.csv": (
        f"{COMMIT}/Canteen/circle3_15_53_40/M1_13_mod.csv",
        527527,
        "28646867ca60b36a3218a2ea9296966e15ce0916af1f2e4b7c49ad2b54e60e43",
    ),
    "canteen/walk3_phone24.csv": (
        f"{COMMIT}/Canteen/circle3_15_53_40/M2_24_mod.csv",
        224145,
        "909f3cbe3284aca32deb173e18dd2a23d4acecd2b3635f4ce97c4945f633c7a6",
    ),
    "canteen/walk4_phone13.csv": (
        f"{COMMIT}/Canteen/circle4_14_00_50/M1_13_mod.csv",
        392331,
        "3a3aa85ff647b9f3b5b4912f20c4f549fedc35586576d353740c16194f03ff41",
    ),
    "canteen/walk4_phone24.csv": (
        f"{COMMIT}/Canteen/circle4_14_00_50/M2_24_mod.csv",
        226782,
        "f6c9365a04857e41e04d64adde33434589e1f1af2a14b4fb82fa69fdfeb9ed5b",
    ),
    "canteen/walk5_phone13.csv": (
        f"{COMMIT}/Canteen/circle5_16_09_20/M1_13_mod.csv",
        519698,
        "48253815ebd7915ad785d39d02d3db66f63ed469790b60f5359cbd10e44eac04",
    ),
    "canteen/walk5_phone24.csv": (
        f"{COMMIT}/Canteen/circle5_16_09_20/M2_24_mod.csv",
        223317,
        "e86f5ececed4de9b4f865e067d7996424d42ad28a7d01dbd8ef591ee38849bab",
    ),
    "canteen/walk6_phone13.csv": (
        f"{COMMIT}/Canteen/circle6_16_16_00/M1_13_mod.csv",
        537013,
        "04b644a553c71ac3bcf01dc2c969433a280cf04bcad0b08fd5bb9e919607fe03",
    ),
    "canteen/walk6_phone24.csv": (
        f"{COMMIT}/Canteen/circle6_16_16_00/M2_24_mod.csv",
        169584,
        "c6a5a178c211fb6b1ddb53e89ba012b1b4c5cae5a68e0d55b94c220056f97e8f",
    ),
    "canteen/walk7_phone13.csv": (
        f"{COMMIT}/Canteen/circle7_16_22_40/M1_13_mod.csv",
        547038,
        "7cbf3cd381fce22e3a97b98d82a488ffde7a93333e7d63dc18375fc9c063a325",
    ),
    "canteen/walk7_phone24.csv": (
        f"{COMMIT}/Canteen/circle7_16_22_40/M2_24_mod.csv",
        173811,
        "c5b139f1092151a49f14a577d7b0fcf9d4a49f5604fae45cd8f536472ebde21a",
    ),
    "canteen/walk9_phone13.csv": (
        f"{COMMIT}/Canteen/circle9_16_31_20/M1_13_mod.csv",
        656194,
        "27fc76443b044745ee6df1d4ae8f1b17694be8f0d01efda71c1f39e89b22f0a0",
    ),
    "canteen/walk9_phone24.csv": (
        f"{COMMIT}/Canteen/circle9_16_31_20/M2_24_mod.csv",
        226598,
        "9144edc27f7158657ed7a9a9706a1df264ebc3464fced6d9dc91ba53f5e07968",
    ),
    "carpark/walk5_phone13.csv": (
        f"{CARPARK_COMMIT}/raw_data/CarPark/5/513.csv",
        421951,
        "3cc027c42f16ae7b73b42ef07d5890f634a245c4e77abf6e49b7ee50bcfd08cb",
    ),
    "carpark/walk5_phone24.csv": (
        f"{CARPARK_COMMIT}/raw_data/CarPark/5/524.csv",
        307490,
        "71082c27deb51628e22a2787fdd84357718e830321830cbfd85b4ad889b779d6",
    ),
    "carpark/walk6_phone13.csv": (
        f"{CARPARK_COMMIT}/raw_data/CarPark/6/613.csv",
        441430,
        "07c66115119465b954f267f750f4c1f3ea17154b65ccce213cbea39d81ed507f",
    ),
    "carpark/walk6_phone24.csv": (
        f"{CARPARK_COMMIT}/raw_data/CarPark/6/624.csv",
        307379,
        "94d5fdefe2bd5583dbcdbef056c2702fcb0a964e95627ebd5238690eb2b1a868",
    ),
    "library/walk2_phone13.csv": (
        f"{LIBRARY_COMMIT}/Library/2/213.csv",
        251143,
        "ecae5e92773208b60f95295b7ad9457db63ad61f6e844769d45e991af937b797",
    ),
    "library/walk2_phone24.csv": (
        f"{LIBRARY_COMMIT}/Library/2/224.csv",
        386469,
        "eba17c004ca584c1e3ce70f7920899b2981be3aa887f59ac71530dc3e7f467ec",
    ),
    "library/walk4_phone13.csv": (
        f"{LIBRARY_COMMIT}/Library/4/413.csv",
        319156,
        "1ad352fc6ed68be0854aa5ebf08d6c0a34865aa967d2f801f8a100e7c2320078",
    ),
    "library/walk4_phone24.csv": (
        f"{LIBRARY_COMMIT}/Library/4/424.csv",
        447228,
        "fd009670d6c4291ab8b405f4d3bc1fe3ee8802e91e15bb50ec7afa20bfd6bee6",
    ),
    "library/walk5_phone13.csv": (
        f"{LIBRARY_COMMIT}/Library/5/513.csv",
        318767,
        "72a3482a72a78980430ae0d6bbd6ffad0d7c77976a36d92db0a803da8d4939df",
    ),
    "library/walk5_phone24.csv": (
        f"{LIBRARY_COMMIT}/Library/5/524.csv",
        475223,
        "cf00731e9b80a50f93d2a5b63f1597eb481ca9648db771db23e5d31fd67e4855",
    ),
    "library/walk6_phone13.csv": (
        f"{LIBRARY_COMMIT}/Library/6/613.csv",
        322967,
        "fdbebced2d4db982917bdd4ad34a838c7ea42e896230bb30718e960e32da7362",
    ),
    "library/walk6_phone24.csv": (
        f"{LIBRARY_COMMIT}/Library/6/624.csv",
        461817,
        "911b4591b09e6425dd5027834aed88ae7852a73fc3cd28a61648c147b612ebee",
    ),
}
