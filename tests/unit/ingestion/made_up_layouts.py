"""Made-up shops, each with its own columns, dates, numbers, delimiters and encodings."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

START = datetime(2024, 1, 3, 9, 30)
CUSTOMERS = 40
ORDERS = 120


@dataclass
class Row:
    number: int
    customer: int
    at: datetime
    amount: float


def orders() -> list[Row]:
    """Deterministic orders: days over a year, some beyond the 12th of a month."""
    return [
        Row(
            i,
            i * 7 % CUSTOMERS,
            START + timedelta(days=i * 3, minutes=i * 11),
            5 + (i * 37 % 900) / 7,
        )
        for i in range(ORDERS)
    ]


def write(
    path: Path, header: str, lines: list[str], encoding: str = "utf-8", end: str = "\n"
) -> Path:
    data = (end.join([header, *lines]) + end).encode(encoding)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def english(folder: Path) -> list[Path]:
    customers = [
        f"{i},Ann Number{i},ann{i}@example.com,{(START - timedelta(days=i)):%m/%d/%Y},Leeds"
        for i in range(CUSTOMERS)
    ]
    lines = [f"INV{r.number:05d},{r.customer},{r.at:%m/%d/%Y},{r.amount:.2f}" for r in orders()]
    return [
        write(folder / "clients.csv", "cust_id,full_name,mail,signup_date,town", customers),
        write(folder / "sales.csv", "invoice_no,cust_id,purchase_date,total_paid", lines),
    ]


def german(folder: Path) -> list[Path]:
    customers = [
        f"K{i:04d};Jürgen;Müller{i};kunde{i}@beispiel.de;"
        f"{(START - timedelta(days=i)):%d.%m.%Y};Köln"
        for i in range(CUSTOMERS)
    ]
    lines = [
        f"{100000 + r.number};K{r.customer:04d};{r.at:%d.%m.%Y};"
        + f"{r.amount * 20:,.2f}".translate(str.maketrans(",.", ".,"))
        + " €;geliefert"
        for r in orders()
    ]
    return [
        write(
            folder / "kunden.csv",
            "Kundennummer;Vorname;Nachname;E-Mail;Anmeldedatum;Ort",
            customers,
            "cp1252",
            "\r\n",
        ),
        write(
            folder / "bestellungen.csv",
            "Bestellnummer;Kundennummer;Bestelldatum;Gesamtbetrag;Status",
            lines,
            "cp1252",
            "\r\n",
        ),
    ]


def chinese(folder: Path) -> list[Path]:
    customers = [
        f"C{i},张三{i},138{i:08d},女,1990年{i % 12 + 1}月{i % 28 + 1}日,"
        f"{(START - timedelta(days=i)):%Y年%m月%d日},上海"
        for i in range(CUSTOMERS)
    ]
    lines = [
        f"DD{r.number},C{r.customer},{r.at.year}年{r.at.month}月{r.at.day}日,¥{r.amount:.2f},已完成"
        for r in orders()
    ]
    return [
        write(
            folder / "客户.csv",
            "客户编号,姓名,手机号,性别,生日,注册日期,城市",
            customers,
            "gb18030",
        ),
        write(folder / "订单.csv", "订单号,客户编号,下单时间,实付金额,订单状态", lines, "gb18030"),
    ]


def french(folder: Path) -> list[Path]:
    lines = [
        f"{r.number};{r.customer};{r.at:%d/%m/%Y %H:%M};{r.amount:.2f}".replace(".", ",")
        for r in orders()
    ]
    customers = [f"{i};Zoé Dupont{i};zoe{i}@exemple.fr;Lyon" for i in range(CUSTOMERS)]
    return [
        write(folder / "clients.csv", "NumeroClient;Nom;Courriel;Ville", customers, "utf-8-sig"),
        write(
            folder / "commandes.csv",
            "NumeroCommande;NumeroClient;DateCommande;MontantTotal",
            lines,
            "utf-8-sig",
        ),
    ]


def compact(folder: Path) -> list[Path]:
    lines = [f"{r.number}\t{r.customer}\t{r.at:%Y%m%d}\t{r.amount:.2f}\tUSD" for r in orders()]
    customers = [
        f"{i}\t{'FM'[i % 2]}\t{1950 + i}0102\t{(START - timedelta(days=i)):%Y%m%d}"
        for i in range(CUSTOMERS)
    ]
    return [
        write(folder / "members.tsv.gz", "MemberID\tSex\tDOB\tJoinDate", customers),
        write(folder / "trx.tsv.gz", "TransactionID\tMemberID\tTrxDate\tAmt\tCurrency", lines),
    ]


def lines_of_orders(folder: Path) -> list[Path]:
    lines = [
        f"{r.number}|{r.customer}|{r.at:%Y-%m-%d %H:%M:%S}|P{k + r.number % 5}|{k + 1}"
        f"|{r.amount:.2f}"
        for r in orders()
        for k in range(2)
    ]
    return [
        write(
            folder / "order_lines.txt",
            "OrderNo|CustomerNo|OrderDate|ArticleNo|Qty|UnitPrice",
            lines,
            "utf-16",
        )
    ]


def epochs(folder: Path) -> list[Path]:
    lines = [
        json.dumps(
            {
                "orderId": f"o-{r.number}",
                "user": {"id": f"u{r.customer}", "email": f"u{r.customer}@x.org"},
                "createdAt": int((r.at - datetime(1970, 1, 1)).total_seconds() * 1000),
                "total": {"amount": round(r.amount, 2), "currency": "EUR"},
            }
        )
        for r in orders()
    ]
    path = folder / "orders.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    customers = [
        f"u{i},{int((START - timedelta(days=i) - datetime(1970, 1, 1)).total_seconds())},gold"
        for i in range(CUSTOMERS)
    ]
    return [write(folder / "users.csv", "user_id,created_ts,tier", customers), path]


def headless(folder: Path) -> list[Path]:
    lines = [f"{r.customer:05d},{r.at:%Y/%m/%d},{r.amount:.2f}" for r in orders()]
    return [write(folder / "purchases.csv", lines[0], lines[1:])]


def spaced(folder: Path) -> list[Path]:
    lines = [
        f'"{r.number}","{r.at:%d-%b-%Y}","{r.customer}.0","{r.amount * 100:,.2f}","a, ""b"""'
        for r in orders()
    ]
    customers = [
        f'"{i}.0","Smith, Jo {i}","01{i:09d}","{i} High Street","NW{i}"' for i in range(CUSTOMERS)
    ]
    return [
        write(
            folder / "Customer Master.csv",
            '"Customer No.","Customer  Name","Tel.","Address","Post Code"',
            customers,
        ),
        write(
            folder / "Order List.csv",
            '"Order No.","Order Date","Customer No.","Net Amount (GBP)","Remarks"',
            lines,
        ),
    ]


def ambiguous(folder: Path) -> list[Path]:
    """Only first days of months: day and month could change places."""
    lines = [f"{i};{i % 9};01/{i % 12 + 1:02d}/2024;{i},50" for i in range(60)]
    return [write(folder / "ventes.csv", "Facture;Client;Date;Montant", lines)]


LAYOUTS: dict[str, Callable[[Path], list[Path]]] = {
    f.__name__: f
    for f in (
        english,
        german,
        chinese,
        french,
        compact,
        lines_of_orders,
        epochs,
        headless,
        spaced,
        ambiguous,
    )
}
