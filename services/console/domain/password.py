"""Which passwords are good enough: long, and not the first that somebody else would try (NIST SP 800-63B, 5.1.1.2).

No rule asks for kinds of characters: such rules make people write what the lists of common passwords hold.
"""

from __future__ import annotations

import re
import unicodedata

from services.core.defects import Defect
from services.core.words import Words

SHORTEST, LONGEST = 12, 256
_LEAST_DIFFERENT = 5
# What is left of a common password when digits and signs at its ends are taken away.
_COMMON_WORDS = frozenset({
    "admin", "administrator", "changeme", "default", "guest", "iloveyou", "letmein", "login", "manager", "master",
    "mima", "monkey", "operator", "pass", "passw0rd", "passwd", "password", "princess", "qazwsx", "qazwsxedc",
    "qwer", "qwerasdf", "qwerty", "qwertyuiop", "qwertyuiopasdf", "root", "secret", "superman", "sysadmin",
    "system", "temp", "test", "tongshu", "user", "welcome", "woaini", "woaiwojia", "wodemima", "zxcvbnm",
    "asdfghjkl", "asdfghjklqwerty", "1qaz2wsx", "1q2w3e4r", "1qazxsw2", "abcdefg", "abcdefgh", "abcd1234",
    "aa123456", "a123456", "zaq12wsx", "q1w2e3r4t5",
})  # fmt: skip
_ALPHABET, _KEYBOARD = "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm"
_SEQUENCES = ("01234567890123456789", "98765432109876543210", _ALPHABET, _KEYBOARD)


def defects_of(password: str, login: str) -> list[Defect]:
    """All that is wrong with a new password of the account `login`; nothing where it may be taken."""
    found = []
    folded = unicodedata.normalize("NFKC", password).casefold()
    if len(password) < SHORTEST:
        found.append(Words(f"has fewer than {SHORTEST} characters", f"不足 {SHORTEST} 个字符"))
    if len(password) > LONGEST:
        found.append(Words(f"has more than {LONGEST} characters", f"超过 {LONGEST} 个字符"))
    if login in folded:
        found.append(Words("holds the login name", "包含登录名"))
    if len(set(folded)) < _LEAST_DIFFERENT or _is_common(folded):
        found.append(Words("is one of those that everybody tries first", "属于常见密码，容易被猜到"))
    return [Defect("/new", words) for words in found]


def _is_common(folded: str) -> bool:
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded)
    whole = re.sub(r"[\W_]+", "", folded)
    words = {core, whole, re.sub(r"\d+$", "", whole)}
    if words & _COMMON_WORDS:
        return True
    halves = {word[: len(word) // 2] for word in words if word and word == word[: len(word) // 2] * 2}
    return bool(halves & _COMMON_WORDS) or any(len(whole) >= SHORTEST and whole in two for two in _SEQUENCES)
