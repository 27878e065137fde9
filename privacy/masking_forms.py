"""The forms by which `masking` finds: patterns over text whose wide characters are made narrow.

What does NOT belong here: anything that computes.
"""

from __future__ import annotations

import re
import unicodedata

#: Digits of all scripts stand below this.
_LAST_DIGIT = 0x20000
_DIGITS = {
    code: 0x30 + digit
    for code in range(0x80, _LAST_DIGIT)
    if (digit := unicodedata.digit(chr(code), None)) is not None
}
#: Full-width ASCII, other scripts' decimal digits and odd dashes and spaces, one for one.
WIDE = (
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | {0xFF0C: 0x3B}  # a wide comma ends what is before it, and stands in no number
    | dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), 0x20)
    | dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212), 0x2D)
    | {code: digit for code, digit in _DIGITS.items() if chr(code).isdecimal()}
)
#: Digits in circles, brackets and above the line. They also count the numbers of a list (`①138…`),
#: and so are read as digits only in what is left when all else is found.
ORNATE = {code: digit for code, digit in _DIGITS.items() if not chr(code).isdecimal()}
ORNATE_DIGIT = re.compile("[" + "".join(map(chr, ORNATE)) + "]")
#: Takes no place on the screen: soft hyphens, joiners, marks of direction.
INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_HAN = "\u4e00-\u9fff"
#: Words with a space beside them, or Chinese: what codes and moments are not.
IS_SPEECH = re.compile(rf"[^\W\d_]\s|\s[^\W\d_]|[{_HAN}]")
#: Stands for what is found while the rest is looked at: neither letter, digit nor space.
BLANK = "\ue000"
#: Its last letters can have been taken for the end of an address before it.
_WORD = rf"(?:[A-Za-z0-9_%+\-]{{1,64}}|{BLANK})"
#: What may stand between two digits of one number: spaces, dashes, dots, the parts of a keycap.
_GAP = "[ \\-.·_\ufe0f\u20e3]{0,2}"
#: What may stand between the groups of a number that is known by how it is grouped: all but
#: letters, digits and what makes a sum or a price.
_WIDE_GAP = rf"(?:(?![+=<>%$¥€£‹›{BLANK}])[\W_]){{1,6}}"
_TOP_DOMAIN = r"(?:com|org|net|edu|gov|info|biz|cn|hk|tw|io|dev|de|fr|uk|jp|kr|eu)(?![A-Za-z0-9])"
#: Where one meets `@ noon . org`; only between spaces, as there is a host noon.com.
_TIME = r"(?:noon|midnight|dawn|dusk|lunch|home|work|school)"
_MAIL_HOSTS = "gmail|outlook|hotmail|yahoo|icloud|proton|qq|163|126|sina|foxmail"


def _email(letter: str) -> re.Pattern[str]:
    name = rf"(?:{letter}(?:{letter}|[.%+\-]){{0,127}}|\"[^\"\n]{{1,64}}\"|{BLANK})"
    host = rf"(?:{letter}|-)+"
    # A sentence ends in 。 or a dot and a space, too: only before a top domain are they in a host.
    hosts = (
        rf"{host}(?:[.。]{host})*。(?:{_TOP_DOMAIN}|{BLANK})",
        rf"(?:(?<!\s)|(?!{_TIME}\s)){host}(?:\s?\.\s?{host})*(?:\s{{1,2}}\.\s{{0,2}}|\.\s{{1,2}})"
        rf"(?:{_TOP_DOMAIN}|{BLANK})",
        rf"{host}(?:\s?\.\s?{host})*\.{host}",
        r"localhost(?![A-Za-z0-9])",
        r"\[(?:IPv6:)?[0-9A-F.:]{2,45}\]",
    )
    return re.compile(rf"{name}\s?(?:@|%40)\s?(?:{'|'.join(hosts)})", re.IGNORECASE)


#: Without Chinese letters first: words stand before and after an address without a space.
EMAIL = _email(rf"[^\W{_HAN}]")
EMAIL_HAN = _email(r"\w")
_AT_MARKED = r"\(\s*at\s*\)|\[\s*at\s*\]|\{\s*at\s*\}|<\s*at\s*>|艾特"
_AT = rf"\s*(?:{_AT_MARKED}|\s(?:at|AT)\s)\s*"
_DOT = r"\s*(?:\(\s*dot\s*\)|\[\s*dot\s*\]|\{\s*dot\s*\}|<\s*dot\s*>|\s(?:dot|DOT)\s|点)\s*"
EMAIL_SPELLED = re.compile(
    rf"{_WORD}(?:(?:\.|{_DOT}){_WORD}){{0,8}}{_AT}[A-Za-z0-9\-]+(?:{_DOT}(?:[A-Za-z0-9\-]+|{BLANK}))+"
    rf"|{_WORD}(?:\.{_WORD}){{0,8}}\s*(?:{_AT_MARKED})\s*"
    rf"(?:[A-Za-z0-9\-]+(?:\.[A-Za-z]+)+|{BLANK})"
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
#: Four and four, or as American Express: with one and the same gap, whatever it is.
SPREAD_CARD = re.compile(
    rf"(?<![0-9A-Za-z])(?=((?:[0-9]{{4}}(?P<gap>{_WIDE_GAP})[0-9]{{4}}(?P=gap)[0-9]{{4}}(?P=gap)[0-9]{{4}}"
    rf"(?:(?P=gap)[0-9]{{3}}(?![0-9]))?"
    rf"|3[0-9]{{3}}(?P<wide>{_WIDE_GAP})[0-9]{{6}}(?P=wide)[0-9]{{5}}){_ENDS}))"
)
CARD_ISSUERS = re.compile(r"4|(?:5[0-8]|2[2-7]|3[0-9]|6[0-9])[0-9]{12}")

#: Both looked at ahead: the end of one number and the beginning of the next can pass for a third.
CHINESE_MOBILE = re.compile(
    rf"(?=((?:(?<![0-9A-Za-z])(?:\+|00)?86{_GAP})?(?<![0-9A-Za-z][.])(?<!\+)(?<!\+ )(?<![0-9])"
    r"(?!1\.[0-9]{2}\.)"  # 1.38.1234.5678 is a version
    rf"1{_GAP}[3-9](?:{_GAP}[0-9]){{9}}\ufe0f?\u20e3?(?![0-9])))"
)
#: Three, four and four digits, whatever stands between them; several in a row with the same gap.
SPREAD_MOBILE = re.compile(
    rf"(?:(?<![0-9A-Za-z])(?:\+|00)?86{_WIDE_GAP})?(?<![0-9])(?<![0-9][.])"
    rf"(?:\[(?=[0-9]{{3}}\]))?1[3-9][0-9](?P<gap>{_WIDE_GAP})[0-9]{{4}}{_WIDE_GAP}[0-9]{{4}}"
    rf"(?:(?P=gap)1[3-9][0-9](?P=gap)[0-9]{{4}}(?P=gap)[0-9]{{4}})*{_ENDS}"
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
#: A number with letters directly beside it, as in a digest.
IN_WORD = re.compile(r"\A[A-Za-z]|[A-Za-z]\Z")
#: As only telephone numbers are written; a run of ten digits may also be a moment or a code.
WRITTEN_PHONE = re.compile(r"\+|\(|00[0-9]{1,3}[ \-]|[0-9]{3}([ .\-])[0-9]{3}\1[0-9]{4}(?![0-9])")
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
IS_MEASURE_AFTER = re.compile(r"\s?(?:(?:mm|cm|m|px|kg|g)(?![A-Za-z])|毫米|厘米|米|件|个)")

_UNIT = r"(?:号楼|号院|号|弄|栋|幢|座|单元|室|楼|层|户)"
_NUMBER = r"[0-9一二三四五六七八九十百]{1,6}"
CHINESE_ADDRESS = re.compile(
    rf"(?:[{_HAN}]{{2,7}}(?:省|自治区))?(?:(?:(?![市区县镇乡])[{_HAN}]){{1,7}}[市区县镇乡]{{1,2}}){{0,6}}"
    rf"[{_HAN}]{{1,8}}(?:(?:路|街|道|巷|弄|胡同|村|小区|花园|苑|大厦|公寓)[{_HAN}]{{0,3}}?\s?"
    rf"{_NUMBER}(?:-[0-9]{{1,4}})?\s?{_UNIT}"
    # These words also end what is no street: only with a building, and `3栋` alone is a count.
    rf"|[园里庄城区府湾]\s?[0-9]{{1,5}}(?:号楼|号院|[栋幢](?=[0-9一二三四五六七八九十])))"
    rf"(?:\s?[{_HAN}]{{0,8}}?\s?[A-Za-z]?{_NUMBER}(?:-[0-9]{{1,4}})*\s?{_UNIT})*(?:[0-9]{{2,5}})?"
)
_STREETS = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Way|Court|Ct|Place|Pl"
    r"|Square|Sq|Terrace|Parkway|Pkwy|Close|Crescent|Loop|Circle|Cir|Trail|Highway|Hwy|Plaza)"
)
#: As people write them without capitals, or in nothing but capitals: only words that are hardly
#: anything else, and those that are after a longer number.
_ANY_CASE_STREETS = (
    r"(?:street|st|avenue|ave|boulevard|blvd|road|rd|lane|ln|parkway|pkwy|terrace|crescent)"
)
_ANY_CASE_LONG = r"(?:drive|dr|court|ct|circle|cir|highway|hwy)"
#: No names of streets: `2 days on the road`, `500 mile drive`.
_NO_STREET = (
    r"(?:a|an|the|this|that|my|your|our|their|his|her|of|on|in|at|by|to|from|off|down|up|across|for"
    r"|and|or|with|per|is|was|are|were|more|other|new|old|long|min|mins|hr|hrs|mm|cm|m|km|ft|lb|kg|pcs|am|pm"
    r"|(?:second|minute|hour|day|night|week|month|year|time|mile|metre|meter|people|person|car"
    r"|lane|star|item|piece|pack|box|pair|ticket|room|shop|store|bike|tyre|tire)(?:s|es)?)"
)
_STATES = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI"
    r"|S[CD]|T[NX]|UT|V[AT]|W[AIVY])"
)
_ORDINAL = r"[0-9]{1,3}(?:st|nd|rd|th)"
_ANY_CASE_WORD = rf"(?:(?!{_NO_STREET}\s)[a-z'’]+|{_ORDINAL})"
ENGLISH_ADDRESS = re.compile(
    rf"{_ALONE}(?:[0-9]{{1,5}}[A-Za-z]?,?\s(?:"
    rf"(?:[NSEW]\.?\s)?(?:(?:[A-Z][\w'’]*|{_ORDINAL})\s){{1,3}}{_STREETS}{_ENDS}"
    # A place and its state say as much as the word for a street.
    rf"|(?:[A-Z][\w'’]*\s){{0,2}}[A-Z][\w'’]*(?=,\s[A-Z][a-z]+(?:\s[A-Z][a-z]+)?,\s{_STATES}{_ENDS})"
    rf"|(?i:(?:[nsew]\.?\s)?(?:{_ANY_CASE_WORD}\s){{1,2}}{_ANY_CASE_STREETS}){_ENDS})"
    rf"|[0-9]{{3,5}}\s(?i:(?:[nsew]\.?\s)?(?:{_ANY_CASE_WORD}\s){{1,2}}{_ANY_CASE_LONG}){_ENDS})\.?"
    r"(?:,?\s(?i:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.?\s?#?(?:[0-9A-Z]{1,5}|[0-9]{1,4}[a-z])\b)?"
    r"(?:,\s[A-Z][A-Za-z]+(?:\s[A-Z][A-Za-z]+)?)?"
    rf"(?:,?\s[A-Z]{{2}},?\s[0-9]{{5}}(?:-[0-9]{{4}})?|,\s{_STATES}{_ENDS})?"
    r"|(?<![0-9A-Za-z])P\.?\s?O\.?\sBox\s[0-9]{1,6}\b"
)
