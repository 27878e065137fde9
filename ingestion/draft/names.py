"""What a column's name says, in English, German, French and Chinese.

What does NOT belong here: what its values say (`values`), the decision (`roles`).
"""

from __future__ import annotations

import re
import unicodedata

#: Idea -> words. A word counts anywhere in a name; one with a leading dash only as a word of its
#: own, or at the end of a word that is known by itself (custid, orderno).
WORDS: dict[str, tuple[str, ...]] = {
    "person": (
        "customer",
        "cust",
        "client",
        "kunde",
        "member",
        "user",
        "buyer",
        "acheteur",
        "kaeufer",
        "adherent",
        "household",
        "consumer",
        "shopper",
        "patron",
        "account",
        "konto",
        "mitglied",
        "客户",
        "会员",
        "顾客",
        "用户",
        "买家",
        "账户",
    ),
    "ident": (
        "-id",
        "-no",
        "-nr",
        "-num",
        "number",
        "nummer",
        "numero",
        "code",
        "-key",
        "-ref",
        "guid",
        "uuid",
        "kennung",
        "identifiant",
        "号",
        "编号",
        "编码",
        "代码",
        "标识",
        "单号",
    ),
    "order": (
        "order",
        "bestell",
        "auftrag",
        "commande",
        "invoice",
        "rechnung",
        "facture",
        "receipt",
        "transaction",
        "purchase",
        "basket",
        "verkauf",
        "beleg",
        "kauf",
        "achat",
        "vente",
        "-bon",
        "sale",
        "订单",
        "发票",
        "交易",
        "购买",
        "下单",
        "流水",
    ),
    "line": ("line", "position", "-pos", "zeile", "ligne", "行号", "明细"),
    "product": (
        "product",
        "produkt",
        "produit",
        "article",
        "artikel",
        "item",
        "-sku",
        "stock",
        "goods",
        "ware",
        "商品",
        "产品",
        "货号",
        "货品",
    ),
    "time": (
        "date",
        "datum",
        "time",
        "zeit",
        "-at",
        "-on",
        "-ts",
        "-dt",
        "when",
        "moment",
        "tag",
        "日期",
        "时间",
        "日",
    ),
    "amount": (
        "amount",
        "-amt",
        "total",
        "-sum",
        "value",
        "revenue",
        "betrag",
        "summe",
        "umsatz",
        "montant",
        "paid",
        "spend",
        "spent",
        "sales",
        "gross",
        "brutto",
        "netto",
        "-net",
        "wert",
        "somme",
        "金额",
        "总额",
        "实付",
        "应付",
        "总价",
        "合计",
        "销售额",
    ),
    "quantity": (
        "quantity",
        "-qty",
        "menge",
        "anzahl",
        "units",
        "count",
        "quantite",
        "stueck",
        "-qte",
        "-pcs",
        "数量",
        "件数",
    ),
    "price": ("price", "preis", "prix", "tarif", "单价", "价格", "售价"),
    "unit": ("unit", "einzel", "stueckpreis", "单"),
    "register": (
        "regist",
        "signup",
        "sign_up",
        "joined",
        "join",
        "created",
        "create",
        "anmeld",
        "inscri",
        "since",
        "seit",
        "opened",
        "angelegt",
        "erstellt",
        "member_since",
        "first_seen",
        "enrol",
        "depuis",
        "注册",
        "加入",
        "开户",
        "入会",
        "创建",
    ),
    "update": (
        "update",
        "modified",
        "changed",
        "geaendert",
        "modifi",
        "last_change",
        "aktualis",
        "更新",
        "修改",
    ),
    "birth": ("birth", "-dob", "geburt", "naissance", "born", "生日", "出生"),
    "email": ("email", "e_mail", "-mail", "courriel", "邮箱", "邮件"),
    "phone": (
        "phone",
        "-tel",
        "telefon",
        "mobile",
        "handy",
        "-gsm",
        "-fon",
        "rufnummer",
        "手机",
        "电话",
    ),
    "name": ("name", "-nom", "prenom", "姓名", "名称", "名字"),
    "first": ("first", "vorname", "prenom", "given"),
    "last": ("last", "nachname", "surname", "family", "nom_de_famille", "familienname"),
    "login": ("login", "username", "user_name", "nickname", "benutzer", "登录", "昵称"),
    "gender": ("gender", "-sex", "geschlecht", "sexe", "anrede", "性别"),
    "city": ("city", "stadt", "-ort", "ville", "town", "wohnort", "城市"),
    "region": (
        "region",
        "province",
        "bundesland",
        "state",
        "county",
        "kanton",
        "省份",
        "省",
        "地区",
    ),
    "country": ("country", "-land", "pays", "nation", "国家"),
    "language": ("language", "sprache", "langue", "locale", "语言"),
    "tier": ("tier", "level", "stufe", "loyalty", "等级", "级别"),
    "currency": (
        "currency",
        "-ccy",
        "-cur",
        "-curr",
        "waehrung",
        "devise",
        "monnaie",
        "币种",
        "货币",
    ),
    "status": ("status", "zustand", "-etat", "statut", "状态"),
    "channel": ("channel", "kanal", "-canal", "platform", "vertriebsweg", "渠道", "来源"),
    "store": ("store", "-shop", "filiale", "magasin", "branch", "outlet", "门店", "店铺", "店"),
    "discount": ("discount", "rabatt", "remise", "nachlass", "优惠", "折扣"),
    "tax": ("tax", "-vat", "steuer", "mwst", "-tva", "taxe", "税"),
    "shipping": ("shipping", "freight", "versand", "livraison", "postage", "porto", "运费"),
    "deliver": ("deliver", "geliefert", "lieferdatum", "livre_le", "送达", "签收", "发货"),
    "coupon": ("coupon", "voucher", "gutschein", "promo", "优惠券"),
    "category": ("category", "kategorie", "categorie", "warengruppe", "department", "类别", "分类"),
    "brand": ("brand", "marke", "marque", "品牌"),
    "event": ("event", "action", "activity", "ereignis", "事件", "行为"),
    "device": ("device", "cookie", "geraet", "appareil", "设备"),
    "address": (
        "address",
        "adresse",
        "street",
        "strasse",
        "-rue",
        "-zip",
        "postal",
        "postcode",
        "post_code",
        "-plz",
        "postleitzahl",
        "-iban",
        "passport",
        "-ssn",
        "ausweis",
        "ip_addr",
        "-ip",
        "地址",
        "邮编",
        "身份证",
    ),
    "remark": ("comment", "remark", "note", "bemerkung", "notiz", "remarque", "备注", "留言"),
}
#: Words that may carry a short one at their end, without a space.
_BEARERS = tuple(
    word.rstrip("ns")
    for idea in ("person", "order", "product", "line")
    for word in WORDS[idea]
    if not word.startswith("-") and len(word) > 2
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def plain(name: str) -> str:
    """A name as lower-case words joined by `_`: CustomerNo, `Customer No.` -> customer_no."""
    text = unicodedata.normalize("NFKC", name)
    text = _CAMEL.sub("_", text).lower().translate(_UMLAUTS)
    text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return re.sub(r"[^0-9a-z\u4e00-\u9fff]+", "_", text).strip("_")


def slug(name: str) -> str:
    """A name that a property may have, or '' if nothing of it is ASCII."""
    text = re.sub(r"[^a-z0-9]+", "_", plain(name)).strip("_")
    if text and not text[0].isalpha():
        text = f"c_{text}"
    return text[:60].rstrip("_")


def ideas(name: str) -> frozenset[str]:
    """The ideas that a column's name holds."""
    text = plain(name)
    words = text.split("_")
    return frozenset(
        idea for idea, listed in WORDS.items() if any(_says(word, text, words) for word in listed)
    )


def _says(word: str, text: str, words: list[str]) -> bool:
    bare = word.removeprefix("-")
    if not word.startswith("-"):
        return bare in text
    if bare in words:
        return True
    # custid, orderno: the end of a word counts behind a word that is itself known
    return any(
        part.endswith(bare) and part[: -len(bare)].rstrip("ns").endswith(_BEARERS) for part in words
    )
