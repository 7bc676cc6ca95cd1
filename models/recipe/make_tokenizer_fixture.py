"""Write the ids that Hugging Face's own tokenizer gives for texts of many kinds, for the toolkit's tests, and whether
a document of such a name is held out.

    python make_tokenizer_fixture.py ../one-layer-a/tokenizer.json ../../fixtures/tokenizer/encodings.jsonl
"""

import argparse
import json
import os

from tokenizers import Tokenizer

from corpus import is_held_out

TEXTS = {
    "empty": "",
    "English": "The harpooneer's boat didn't return; we'll wait until 7:45, won't we?",
    "spaces": "  two  three   \t tab\n\n\nlines\r\n end  ",
    "odd spaces": "no\u00a0break thin\u2009space ideographic\u3000line\u2028next\u0085mark\ufeffend",
    "digits": "In 1861, 3.14159 and 1,000,000; ٣٤٥ ४५६ ⅷ ½ ②",
    "code": "export const f = (x: number[]): string => `${x?.[0] ?? 'none'}`; // 0xFFEE\n",
    "HTML": '<p lang="ar" dir="rtl">&amp; &#x26; <b>bold</b></p>\n',
    "base64": "ICAgICAgPHA+zprOsc68zrnOrCDOtM65zqzPhM6xzr7OtyDPhM63z4IgzpTOuc6xzrrOrs+BDQo=",
    "hex": "00000010  e2 82 ac 0a ff fe 00 d8  deadbeef",
    "Greek": "Η θάλασσα είναι ήρεμη σήμερα.",
    "Russian": "Сегодня море спокойно, и корабль готов.",
    "Arabic": "البحر هادئ اليوم، والسفينةُ جاهزةٌ.",
    "Hebrew": "הַיָּם רָגוּעַ הַיּוֹם.",
    "Hindi": "आज समुद्र शांत है और जहाज़ तैयार है।",
    "Tamil": "கடல் இன்று அமைதியாக இருக்கிறது.",
    "Thai": "วันนี้ทะเลสงบและเรือพร้อมแล้ว",
    "Tibetan": "རྒྱ་མཚོ་ཞི་བདེ་ཡིན།",
    "Chinese": "今天大海很平静，船已经准备好了。",
    "Japanese": "今日は海が穏やかで、船の準備ができています。",
    "Korean": "오늘은 바다가 잔잔하고 배가 준비되었습니다.",
    "Ethiopic": "ባሕሩ ዛሬ ጸጥ ያለ ነው።",
    "Cherokee": "ᎠᎹᎡᏉᎯ ᏙᎯ",
    "emoji": "👩‍👩‍👧‍👦 🇪🇺 ⚓️ 🐋🐳",
    "accents": "e\u0301 é ñ n\u0303 ǟ ﬁ Å",
    "separator": "before<|endoftext|>after <|endoftext|",
    "controls": "bell\u0007 escape\u001b[31m delete\u007f",
}


def code_points() -> str:
    """Every 97th character of the first two planes, with a letter and a space now and then."""
    points = [c for c in range(0x20, 0x20000, 97) if not 0xD800 <= c < 0xE000]
    return "".join(("a", " ", "", "")[i % 4] + chr(c) for i, c in enumerate(points))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tokenizer")
    parser.add_argument("out")
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(options.tokenizer)
    os.makedirs(os.path.dirname(options.out) or ".", exist_ok=True)
    with open(options.out, "w", encoding="utf-8") as file:
        for name, text in {**TEXTS, "code points": code_points()}.items():
            row = {"name": name, "held_out": is_held_out(name), "text": text, "ids": tokenizer.encode(text).ids}
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
