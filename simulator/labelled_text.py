"""Free text as customers write it, with what identifies a person in it labelled.

What does NOT belong here: finding it (privacy.masking), the shop's own tickets and reviews, whose
bytes must not change.

Each text holds one identifying value of one kind, in one of the forms in which people write it, or
none: then it holds a number that only looks like one. Nothing here is a real person's: numbers are
drawn at random within the rules of their kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

KINDS = ("email", "phone", "id", "card", "iban", "address")
LOOK_ALIKES = ("order", "price", "date", "sku", "tracking", "measure")
_WIDE = {ord(narrow): ord(narrow) + 0xFEE0 for narrow in "0123456789"}
_ZH = (
    "你好，我的{} 请尽快处理",
    "麻烦联系我：{}，谢谢",
    "{}，这个是我的，别再弄错了",
    "上次填的{}不对，现在改成{{}}",
    "客服说要提供{}。已经等了3天！",
)
_EN = (
    "Hi, {} is mine, please update it.",
    "You can use {}, thanks",
    "The old one was wrong. New one: {}. It took 3 weeks!",
    "why was {} not accepted?",
    "{}\nsent from my phone",
)
_NAMES = ("li.wei", "zhangsan", "mary_jones", "bob88", "wang-fang", "o.smith", "chen123")
_HOSTS = ("example.com", "example.org", "qq.com", "163.com", "gmail.com", "mail.example.net")
_IBANS = (("DE", "", 18), ("GB", "NWBK", 14), ("NL", "ABNA", 10))


@dataclass(frozen=True)
class LabelledText:
    """A text and what is to be found in it.

    Attributes:
        text: The whole.
        secret: The part that identifies; None for a look-alike.
        kind: One of `KINDS`, or of `LOOK_ALIKES`.
        language: zh or en.
        form: How it is written.
    """

    text: str
    secret: str | None
    kind: str
    language: str
    form: str


def labelled_texts(per_form: int = 40, seed: int = 11) -> list[LabelledText]:
    """Texts of every kind, form and language; the same arguments give the same texts.

    Args:
        per_form: Texts of each form in each language.
        seed: Of all choices.
    """
    random = Random(seed)  # noqa: S311  made-up texts
    texts = []
    for kind, forms in FORMS.items():
        for form, make in forms.items():
            for language, frames in (("zh", _ZH), ("en", _EN)):
                if form[:2] in ("zh", "en") and not form.startswith(language):
                    continue
                for _ in range(per_form):
                    value = make(random)
                    frame = random.choice(frames).replace("{{}}", "新的")
                    secret = value if kind in KINDS else None
                    texts.append(LabelledText(frame.format(value), secret, kind, language, form))
    return texts


def _digits(random: Random, count: int) -> str:
    return "".join(random.choice("0123456789") for _ in range(count))


def _email(random: Random) -> str:
    return f"{random.choice(_NAMES)}@{random.choice(_HOSTS)}"


def _spelled(at: str, dot: str) -> Callable[[Random], str]:
    return lambda random: _email(random).replace("@", at).replace(".", dot)


def _host_spelled(at: str, dot: str) -> Callable[[Random], str]:
    """As `_spelled`, the name as it is."""

    def make(random: Random) -> str:
        name, host = _email(random).split("@")
        return f"{name}{at}{host.replace('.', dot)}"

    return make


def _mobile(random: Random) -> str:
    return "1" + random.choice("3578") + random.choice("56789") + _digits(random, 8)


def _parted(*gaps: str) -> Callable[[Random], str]:
    """A mobile number of three, four and four digits with one of these gaps."""

    def make(random: Random) -> str:
        number = _mobile(random)
        return random.choice(gaps).join((number[:3], number[3:7], number[7:]))

    return make


def _written(*zeros: str) -> Callable[[Random], str]:
    """A mobile number in the digits of one of these scripts."""

    def make(random: Random) -> str:
        zero = ord(random.choice(zeros))
        return "".join(chr(zero + int(digit)) for digit in _mobile(random))

    return make


def _us_phone(random: Random) -> tuple[str, str, str]:
    area = random.choice(("212", "415", "312", "206", "305", "617"))
    return area, str(random.randint(220, 910)), _digits(random, 4)


def _resident_id(random: Random) -> str:
    """18 characters: district, birthday, serial, check digit by ISO 7064 MOD 11-2."""
    district = random.choice(("110105", "310104", "440305", "330106", "510107"))
    born = f"{random.randint(1950, 2004)}{random.randint(1, 12):02d}{random.randint(1, 28):02d}"
    body = district + born + _digits(random, 3)
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    return body + "10X98765432"[total % 11]


def _grouped_id(number: str) -> str:
    return f"{number[:6]} {number[6:14]} {number[14:]}"


def _old_form(number: str) -> str:
    """15 digits: two for the year, and no check digit."""
    return number[:6] + number[8:17]


def _luhn(body: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def _card(random: Random) -> str:
    begin, length = random.choice((("4", 16), ("52", 16), ("6222", 19), ("6214", 16)))
    return _luhn(begin + _digits(random, length - len(begin) - 1))


def _iban(random: Random) -> str:
    """Country, check digits by ISO 7064 MOD 97-10, account."""
    country, bank, length = random.choice(_IBANS)
    account = bank + _digits(random, length)
    numbers = "".join(str(int(char, 36)) for char in account + country + "00")
    return f"{country}{98 - int(numbers) % 97:02d}{account}"


def _grouped(text: str, size: int, separator: str) -> str:
    return separator.join(text[at : at + size] for at in range(0, len(text), size))


def _ssn(random: Random, separator: str) -> str:
    parts = (random.randint(101, 599), random.randint(11, 89), random.randint(1001, 8999))
    return separator.join(str(part) for part in parts)


def _zh_address(random: Random) -> str:
    city = random.choice(("北京市朝阳区", "上海市徐汇区", "广东省深圳市南山区", "杭州市西湖区", ""))
    street = random.choice(("建国路", "淮海中路", "科技园南路", "文三路", "中山大道", "和平巷"))
    rest = random.choice(
        ("", f"{random.randint(1, 30)}栋{random.randint(101, 2800)}室", "3单元502室")
    )
    return f"{city}{street}{random.randint(1, 999)}号{rest}"


def _en_address(random: Random) -> str:
    street = random.choice(("Main Street", "Elm St", "Park Avenue", "Oak Ridge Road", "5th Ave"))
    end = random.choice(("", ", Apt 4B", ", Springfield, IL 62704", ", Boston"))
    return f"{random.randint(2, 9999)} {street}{end}"


def _block(random: Random) -> str:
    """A building of a housing estate, with no street."""
    estate = random.choice(("朝阳区望京西园三区", "天通苑西三区", "和平里", "海淀区万柳家园"))
    number = random.randint(1, 400)
    return f"{estate}{number}号楼{random.randint(1, 6)}单元{random.randint(101, 2800)}"


def _plain_en_address(random: Random) -> str:
    street = random.choice(("main st", "elm street", "park avenue", "oak ridge rd", "w 5th ave"))
    return f"{random.randint(2, 9999)} {street}"


def _en_place(random: Random) -> str:
    """Known for an address by its city and state."""
    street = random.choice(("Infinite Loop", "Broadway", "The Embarcadero", "Rue Royale"))
    city = random.choice(("Cupertino, CA", "New York, NY", "New Orleans, LA"))
    return f"{random.randint(1, 999)} {street}, {city}"


def _list(random: Random, separator: str) -> str:
    """Numbers that go on where a telephone number would end."""
    numbers = ("138", *(str(random.randint(1000, 9999)) for _ in range(3)))
    return separator.join(numbers)


def _day(random: Random, form: str) -> str:
    year, month, day = random.randint(2019, 2026), random.randint(1, 12), random.randint(1, 28)
    return form.format(y=year, m=month, d=day, h=random.randint(0, 23), t=random.randint(10, 59))


FORMS: dict[str, dict[str, Callable[[Random], str]]] = {
    "email": {
        "plain": _email,
        "upper case": lambda random: _email(random).upper(),
        "wide at": _spelled("＠", "．"),
        "spaces": _spelled(" @ ", "."),
        "(at) (dot)": _spelled(" (at) ", " (dot) "),
        "[at]": _spelled("[at]", "."),
        "at dot": _spelled(" at ", " dot "),
        "%40": _spelled("%40", "."),
        "。": _host_spelled("@", "。"),
        "spaces all over": _host_spelled(" @ ", " . "),
        "<at> <dot>": _spelled("<at>", "<dot>"),
        "wide (at) (dot)": _spelled("（at）", "（dot）"),
        "invisible": _host_spelled("@\u200b", "\u00ad."),
        "quoted": lambda random: f'"{random.choice(_NAMES)} jr"@{random.choice(_HOSTS)}',
        "[ip]": lambda random: f"{random.choice(_NAMES)}@[192.168.1.{random.randint(1, 254)}]",
        "localhost": lambda random: f"{random.choice(_NAMES)}@localhost",
    },
    "phone": {
        "zh plain": _mobile,
        "zh wide": lambda random: _mobile(random).translate(_WIDE),
        "zh 3-4-4": lambda random: _grouped("0" + _mobile(random), 4, "-")[1:],
        "zh spaces": lambda random: _grouped("0" + _mobile(random), 4, " ")[1:],
        "zh dots": lambda random: _grouped("0" + _mobile(random), 4, ".")[1:],
        "zh each apart": lambda random: " ".join(_mobile(random)),
        "zh marks": _parted("、", ",", "，", ":", "*", "~", "•", "|", ", "),
        "zh wide gaps": _parted(" - ", "   ", "\t", "\n", "\r\n", " \u2014\u2014 ", "\u2009"),
        "zh invisible": _parted("\u00ad", "\u200b", "\u2060"),
        "zh [138]": lambda random: "[{}]{}-{}".format(*_parted("|")(random).split("|")),
        "zh scripts": _written("\U0001d7ce", "\u09e6", "\u0660", "\u0966"),
        "zh circled": lambda random: "".join("⓪①②③④⑤⑥⑦⑧⑨"[int(d)] for d in _mobile(random)),
        "zh keycaps": lambda random: "".join(f"{d}\ufe0f\u20e3" for d in _mobile(random)),
        "zh +86": lambda random: f"+86 {_mobile(random)}",
        "zh landline": lambda random: (
            f"0{random.choice(('10', '21', '755'))}-8{_digits(random, 7)}"
        ),
        "en (212)": lambda random: "({}) {}-{}".format(*_us_phone(random)),
        "en dashes": lambda random: "-".join(_us_phone(random)),
        "en dots": lambda random: ".".join(_us_phone(random)),
        "en +1": lambda random: "+1 {} {} {}".format(*_us_phone(random)),
        "en +44": lambda random: f"+44 20 7{_digits(random, 3)} {_digits(random, 4)}",
    },
    "id": {
        "zh plain": _resident_id,
        "zh x": lambda random: _resident_id(random).lower(),
        "zh wide": lambda random: _resident_id(random).translate(_WIDE),
        "zh 6-8-4": lambda random: _grouped_id(_resident_id(random)),
        "zh old, of 15": lambda random: _old_form(_resident_id(random)),
        "en ssn": lambda random: _ssn(random, "-"),
        "en ssn spaces": lambda random: _ssn(random, " "),
        "en ssn bare": lambda random: _ssn(random, ""),
    },
    "card": {
        "plain": _card,
        "4s": lambda random: _grouped(_card(random), 4, " "),
        "4s dashes": lambda random: _grouped(_card(random), 4, "-"),
        "wide": lambda random: _card(random).translate(_WIDE),
        "4s marks": lambda random: _grouped(_card(random), 4, random.choice("，,、*")),
    },
    "iban": {
        "plain": _iban,
        "4s": lambda random: _grouped(_iban(random), 4, " "),
        "lower case": lambda random: _iban(random).lower(),
    },
    "address": {
        "zh": _zh_address,
        "zh block": _block,
        "en": _en_address,
        "en no capitals": _plain_en_address,
        "en all capitals": lambda random: _plain_en_address(random).upper(),
        "en place": _en_place,
    },
    "order": {
        "short": lambda random: f"order {_digits(random, 6)}",
        "zh long": lambda random: f"订单号{random.randint(10**11, 10**12 - 1)}",
        "en long": lambda random: f"order no. {random.randint(10**9, 10**10 - 1)}",
        "letters": lambda random: f"A{_digits(random, 8)}",
    },
    "price": {
        "zh": lambda random: f"{random.randint(100, 99999)}元",
        "en": lambda random: f"${random.randint(1, 99)},{_digits(random, 3)}.{_digits(random, 2)}",
        "millions": lambda random: f"{random.randint(1, 9)},{_digits(random, 3)},567.89",
        "zh list": lambda random: f"138，{random.randint(1000, 9999)}，{_digits(random, 4)}元",
        "large": lambda random: f"¥{random.randint(10**6, 10**7)}.00",
    },
    "date": {
        "iso": lambda random: _day(random, "{y}-{m:02d}-{d:02d} {h:02d}:{t}"),
        "zh": lambda random: _day(random, "{y}年{m}月{d}日{h}点{t}分"),
        "slashes": lambda random: _day(random, "{d:02d}/{m:02d}/{y}"),
        "digits": lambda random: _day(random, "{y}{m:02d}{d:02d}"),
    },
    "sku": {
        "letters": lambda random: f"SKU-{_digits(random, 5)}-{_digits(random, 3)}",
        "ean": lambda random: f"EAN 69{_digits(random, 11)}",
        "zh list": lambda random: f"货号138、{_digits(random, 4)}、{_digits(random, 4)}",
        "mm": lambda random: f"138*{_digits(random, 4)}*{_digits(random, 4)}mm",
        "size": lambda random: f"{random.randint(10, 60)}x{random.randint(10, 60)}x200 cm",
    },
    "tracking": {
        "zh SF": lambda random: f"SF{_digits(random, 13)}",
        "zh number": lambda random: f"快递单号{_digits(random, 12)}",
        "en 1Z": lambda random: f"1Z{_digits(random, 3)}AA{_digits(random, 10)}",
        "en number": lambda random: f"tracking {_digits(random, 12)}",
    },
    "measure": {
        "version": lambda random: (
            f"v{random.randint(1, 20)}.{_digits(random, 2)}.{_digits(random, 4)}"
        ),
        "time": lambda random: f"{random.randint(10, 23)}:{random.randint(10, 59)}:30",
        "range": lambda random: f"138-{random.randint(1000, 9999)}",
        "list": lambda random: _list(random, ", "),
        "zh list": lambda random: _list(random, "、"),
        "lines": lambda random: _list(random, "\n"),
        "sum": lambda random: f"138+{_digits(random, 4)}+{_digits(random, 4)}",
        "years": lambda random: f"2021，2022，2023，{random.randint(2024, 2030)}",
        "zh circled": lambda random: f"①很好②很快③{random.randint(2, 99)}元",
        "zh buildings": lambda random: f"园区{random.randint(2, 99)}栋楼",
        "en drive": lambda random: f"{random.randint(10, 999)} mile drive on the road",
        "en road": lambda random: (
            f"{random.randint(2, 99)} days on the road, {_digits(random, 2)} st"
        ),
        "en capitals": lambda random: f"{random.randint(2, 99)} DAYS ON THE ROAD",
        "count": lambda random: f"{random.randint(1, 999)},{_digits(random, 3)}",
    },
}
