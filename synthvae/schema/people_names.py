"""Recognise names of people: by common given and family names, and by the forms that names have in other scripts."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

FULL_NAME = re.compile(r"[^\W\d_][\w.'\u2019-]*,?( [^\W\d_][\w.'\u2019()\"-]*){1,5}")
SURNAME = re.compile(  # a word, or two, with the particles of several languages
    r"((van|von|zu|zum|zur|vom|de|den|der|del|della|di|da|dos?|das|la|le|el|al|bin|ter|ten|mac|mc|o|d|l)[ '\u2019])*"
    r"[^\W\d_]+([ -](?!(inc|llc|ltd|plc|kg|ag|ohg|gbr|gmbh|group|sons|sa|spa|srl|sarl|et|and|und|y|e)\b)[^\W\d_]+)?"
)
PATRONYMIC = re.compile(r"\w{2,}(ович|евич|ьич|овна|евна|ична|инична)", re.IGNORECASE)
KANJI = r"[\u3005\u4e00-\u9fff]"
JAPANESE = re.compile(rf"{KANJI}{{1,4}}[ \u3000][\u3005\u3040-\u30ff\u4e00-\u9fff]{{1,4}}")
CHINESE = re.compile(
    "[王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏"
    rf"韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤]{KANJI}{{1,2}}"
)
KOREAN = re.compile(
    "[김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민진지엄채원천방공현함변염]\\s?[가-힣]{2}"
)
TITLES = frozenset(
    """
    mr mrs ms miss mx dr med prof univ dipl ing herr frau hr fr m mme mlle sr sra srta don dona sig sra dott pan pani
    rev sir
    """.split()  # noqa: SIM905 (a list of literals is longer)
)
PLACES = frozenset(
    """
    san santa sao los las el la le new saint st port fort lake mount north south east west upper lower
    """.split()  # noqa: SIM905
)


@cache
def _words(file: str) -> frozenset[str]:
    lines = Path(__file__).with_name(file).read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def folded(text: str) -> str:
    """Return a text in lower case and without accents.

    Example:
        >>> folded("Łukasz Müller-José")
        'lukasz muller-jose'
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).translate(
        {ord("ł"): "l", ord("ø"): "o", ord("đ"): "d"}
    )


def is_given_name(text: str) -> bool:
    """Whether a text is one or two common given names.

    Example:
        >>> is_given_name("Hans-Peter"), is_given_name("Boston")
        (True, False)
    """
    words = re.split(r"[ -]", folded(text))
    return len(words) <= 3 and words[0] in _words("given_names.txt")


def is_family_name(text: str) -> bool:
    """Whether a text is a common family name, which may be double or have a particle.

    Example:
        >>> is_family_name("van der Berg"), is_family_name("Ковалев"), is_family_name("blue")
        (True, True, False)
    """
    if not SURNAME.fullmatch(folded(text)):
        return False
    words = re.findall(r"[^\W\d_]+", folded(text))
    russian = re.fullmatch(r"[а-яёіїє]+(ов|ев|ин|ова|ева|ина|ский|ская|скии|енко|чук|юк)", words[-1])  # noqa: RUF001
    return words[0] in _words("family_names.txt") or words[-1] in _words("family_names.txt") or russian is not None


def is_full_name(text: str) -> bool:
    """Whether a text has the form of a given and a family name, with titles and further names.

    Example:
        >>> [is_full_name(text) for text in ("Dr. Ann Lee", "Lee, Ann", "山下 知実", "Ann")]
        [True, True, True, False]
    """
    return any(form.fullmatch(text) for form in (FULL_NAME, JAPANESE, CHINESE, KOREAN))


def names_a_person(text: str) -> bool:
    """Whether a full name has a given name where given names are, or a known family name; "San Jose" is a city.

    Example:
        >>> [names_a_person(text) for text in ("Stone, Eva", "L. Weber", "San Jose", "Essential Hypertension")]
        [True, True, False, False]
    """
    if any(form.fullmatch(text) for form in (JAPANESE, CHINESE, KOREAN)):
        return True
    family, comma, given = folded(text).partition(",")
    words = [word for word in re.findall(r"[^\W\d_]+", given if comma else family) if word not in TITLES]
    if not words or (not comma and words[0] in PLACES):
        return False
    if any(PATRONYMIC.fullmatch(word) for word in words):
        return True
    known = next((word in _words("given_names.txt") for word in words if len(word) > 1), False)
    return known or (not comma and len(words) > 1 and is_family_name(words[-1]))
