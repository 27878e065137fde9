"""The forms by which `masking` finds: patterns over text whose wide characters are made narrow.

What does NOT belong here: anything that computes.
"""

from __future__ import annotations

import re

#: Full-width ASCII, other scripts' decimal digits and odd dashes and spaces, one for one.
WIDE = (
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | {0xFF0C: 0x3B}  # a wide comma ends what is before it, and stands in no number
    | {0x3000: 0x20, 0xA0: 0x20, 0x2007: 0x20, 0x202F: 0x20}
    | dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212), 0x2D)
    | {start + digit: 0x30 + digit for start in (0x660, 0x6F0, 0x966) for digit in range(10)}
)
_HAN = "\u4e00-\u9fff"
#: Stands for what is found while the rest is looked at: neither letter, digit nor space.
BLANK = "\ue000"
#: Its last letters can have been taken for the end of an address before it.
_WORD = rf"(?:[A-Za-z0-9_%+\-]{{1,64}}|{BLANK})"
#: What may stand between two digits of one number: spaces, dashes, dots, invisible characters.
_GAP = "[ \\-.·_\u200b-\u200d\u2060]{0,2}"
_MAIL_HOSTS = "gmail|outlook|hotmail|yahoo|icloud|proton|qq|163|126|sina|foxmail"


def _email(letter: str) -> re.Pattern[str]:
    name, host = rf"(?:{letter}(?:{letter}|[.%+\-]){{0,127}}|{BLANK})", rf"(?:{letter}|-)+"
    return re.compile(rf"{name}\s?(?:@|%40)\s?{host}(?:\s?\.\s?{host})*\.{host}", re.IGNORECASE)


#: Without Chinese letters first: words stand before and after an address without a space.
EMAIL = _email(rf"[^\W{_HAN}]")
EMAIL_HAN = _email(r"\w")
_AT = r"\s*(?:\(\s*at\s*\)|\[\s*at\s*\]|\{\s*at\s*\}|<at>|艾特|\s(?:at|AT)\s)\s*"
_DOT = r"\s*(?:\(\s*dot\s*\)|\[\s*dot\s*\]|\{\s*dot\s*\}|\s(?:dot|DOT)\s|点)\s*"
EMAIL_SPELLED = re.compile(
    rf"{_WORD}(?:(?:\.|{_DOT}){_WORD}){{0,8}}{_AT}[A-Za-z0-9\-]+(?:{_DOT}[A-Za-z0-9\-]+)+"
    rf"|{_WORD}(?:\.{_WORD}){{0,8}}\s*(?:\(\s*at\s*\)|\[\s*at\s*\]|艾特)\s*"
    r"[A-Za-z0-9\-]+(?:\.[A-Za-z]+)+"
    rf"|{_WORD}(?:\.{_WORD}){{0,8}}\s+(?:at|AT)\s+(?:{_MAIL_HOSTS})\.[a-z]{{2,4}}(?:\.[a-z]{{2}})?\b",
    re.IGNORECASE,
)

#: Looked at ahead, so that one does not hide the next.
IBAN_BEGIN = re.compile(
    r"(?<![A-Za-z0-9])(?=([A-Za-z]{2}[ ]?[0-9]{2}(?:[ \-]?[A-Za-z0-9]){11,42}))"
)

#: No digit, letter or decimal point before: part of a longer code is no number of its own. After
#: more than three digits a point or comma is none: there another number ends.
_ALONE = r"(?<![0-9A-Za-z])" + "".join(
    rf"(?<!{before}[0-9]{{{digits}}}[.,])" for digits in (1, 2, 3) for before in ("^", "[^0-9]")
)
_ENDS = r"(?![0-9A-Za-z])"
#: Check digits and days tell these from what follows a decimal comma.
DIGIT_GROUPS = re.compile(rf"(?<![0-9A-Za-z])(?<![0-9]\.)[0-9](?:{_GAP}[0-9]){{7,}}[xX]?{_ENDS}")
LONG_NUMBER = re.compile(rf"{_ALONE}[0-9]{{7,}}[xX]?{_ENDS}")
CARD_ISSUERS = re.compile(r"4|(?:5[0-8]|2[2-7]|3[0-9]|6[0-9])[0-9]{12}")

#: Both looked at ahead: the end of one number and the beginning of the next can pass for a third.
CHINESE_MOBILE = re.compile(
    rf"(?=((?:(?<![0-9A-Za-z])(?:\+|00)?86{_GAP})?(?<![0-9A-Za-z][.])(?<!\+)(?<!\+ )(?<![0-9])"
    rf"1{_GAP}[3-9](?:{_GAP}[0-9]){{9}}(?![0-9])))"
)
#: By its form alone: number ranges open faster than a library hears of them.
CHINESE_LANDLINE = re.compile(
    r"(?<![0-9A-Za-z\-])(?=(\(?0[1-9][0-9]{1,2}\)?[ \-][2-8][0-9]{2,3}[ \-]?[0-9]{4}(?![0-9])))"
)
#: A country code, brackets or breaks, as numbers are written for people; phonenumbers decides.
_PART = r"(?:\+[ ]?)?\(?[0-9][0-9()]*"
PHONE_PART = re.compile(_PART)
PHONE_RUN = re.compile(rf"(?<![0-9A-Za-z.]){_PART}(?:[ \-./]{{1,2}}{_PART})*")
PHONE_END = re.compile(r"(?![0-9A-Za-z])")
#: A day as 2024-05-06, 2024/5/6 or 06/05/2024: digits and breaks like a number's.
WRITTEN_DAY = re.compile(
    r"(?:19|20)[0-9]{2}([\-/.])(?:0?[1-9]|1[0-2])\1(?:[0-2]?[0-9]|3[01])(?![0-9])"
    r"|(?:[0-2]?[0-9]|3[01])([\-/.])(?:0?[1-9]|[12][0-9]|3[01])\2(?:19|20)[0-9]{2}(?![0-9])"
)


def _said_before(chinese: str, english: str, gap: str = r"[^0-9]{0,8}") -> re.Pattern[str]:
    """Words that end shortly before a number. Chinese has no word breaks: `提供EAN` is two."""
    words = rf"(?:{chinese}|(?<![A-Za-z])(?:{english})(?![A-Za-z]))"
    return re.compile(rf"{words}{gap}\Z", re.IGNORECASE)


IS_ID_BEFORE = _said_before(
    "身份证|证件号|公民身份", "ssn|social security|national id|id card|id no|id"
)
IS_CARD_BEFORE = _said_before("卡号|账号|帐号|银行卡|信用卡", "card|account")
IS_PHONE_BEFORE = _said_before(
    "电话|手机|座机|联系方式|致电|拨打", "tel|phone|mobile|cell|call|fax"
)
_CODES = (
    "订单|单号|运单|快递|物流|编号|货号|条码|发票|工单|批次|版本",
    "order|parcel|sku|tracking|invoice|ticket|item|barcode|ean|ref|batch",
)
IS_CODE_BEFORE = _said_before(*_CODES)
IS_CODE_ADJACENT = _said_before(*_CODES, gap=r"[\s:#\-_]{0,2}")
IS_PRICE_BEFORE = re.compile(r"(?:[¥$€£]|￥|RMB|USD|EUR)\s?\Z")
IS_PRICE_AFTER = re.compile(r"\s?(?:元|块|美元|万|RMB|USD|EUR|yuan|dollars|\.[0-9]{1,2}(?![0-9]))")

_UNIT = r"(?:号楼|号院|号|弄|栋|幢|座|单元|室|楼|层|户)"
_NUMBER = r"[0-9一二三四五六七八九十百]{1,6}"
CHINESE_ADDRESS = re.compile(
    rf"(?:[{_HAN}]{{2,7}}(?:省|自治区))?(?:(?:(?![市区县镇乡])[{_HAN}]){{1,7}}[市区县镇乡]{{1,2}}){{0,6}}"
    rf"[{_HAN}]{{1,8}}(?:路|街|道|巷|弄|胡同|村|小区|花园|苑|大厦|公寓)[{_HAN}]{{0,3}}?\s?"
    rf"{_NUMBER}(?:-[0-9]{{1,4}})?\s?{_UNIT}"
    rf"(?:\s?[{_HAN}]{{0,8}}?\s?[A-Za-z]?{_NUMBER}(?:-[0-9]{{1,4}})*\s?{_UNIT})*(?:[0-9]{{2,5}})?"
)
_STREETS = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Way|Court|Ct|Place|Pl"
    r"|Square|Sq|Terrace|Parkway|Pkwy|Close|Crescent)"
)
ENGLISH_ADDRESS = re.compile(
    rf"{_ALONE}[0-9]{{1,5}}[A-Za-z]?,?\s(?:[NSEW]\.?\s)?"
    rf"(?:(?:[A-Z][\w'’]*|[0-9]{{1,3}}(?:st|nd|rd|th))\s){{1,3}}{_STREETS}{_ENDS}\.?"
    r"(?:,?\s(?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.?\s?#?[0-9A-Z]{1,5}\b)?"
    r"(?:,\s[A-Z][A-Za-z]+(?:\s[A-Z][A-Za-z]+)?)?(?:,?\s[A-Z]{2},?\s[0-9]{5}(?:-[0-9]{4})?)?"
    rf"|{_ALONE}[0-9]{{1,5}}\s[a-z]+\s(?:street|avenue|ave|blvd|road|lane){_ENDS}"
    r"|(?<![0-9A-Za-z])P\.?\s?O\.?\sBox\s[0-9]{1,6}\b"
)
