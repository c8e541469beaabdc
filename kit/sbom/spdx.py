"""The licences that kit knows by their SPDX identifiers, and other words for them.

Identifiers: SPDX licence list 3.x, those met in Python's, Debian's, Node's and model hubs' packages.
A licence that is not here is carried under the name it is given.
"""

from __future__ import annotations

_IDENTIFIERS = """
    0BSD AFL-2.1 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-2.0
    BSD-2-Clause BSD-3-Clause BSD-4-Clause BSL-1.0 BlueOak-1.0.0 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-4.0
    CC-BY-NC-SA-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 CNRI-Python ECL-2.0 EPL-1.0 EPL-2.0
    EUPL-1.2 FSFAP FSFUL FSFULLR FTL GFDL-1.2-only GFDL-1.2-or-later GFDL-1.3-only GFDL-1.3-or-later
    GFDL-1.3-no-invariants-or-later GPL-1.0-only GPL-1.0-or-later GPL-2.0-only GPL-2.0-or-later
    GPL-3.0-only GPL-3.0-or-later HPND HPND-sell-variant ICU IJG ISC LGPL-2.0-only LGPL-2.0-or-later
    LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later Libpng MIT MIT-0 MIT-CMU MPL-1.1
    MPL-2.0 MS-PL NCSA OFL-1.1 OLDAP-2.8 OpenSSL PSF-2.0 PostgreSQL Python-2.0 Python-2.0.1 SISSL
    Sleepycat TCL UPL-1.0 Unicode-3.0 Unicode-DFS-2016 Unlicense Vim W3C WTFPL X11 ZPL-2.1 Zlib
    blessing bzip2-1.0.6 curl libpng-2.0
"""
_EXCEPTIONS = """
    Autoconf-exception-2.0 Bison-exception-2.2 Classpath-exception-2.0 GCC-exception-2.0
    GCC-exception-3.1 LLVM-exception Libtool-exception
"""
IDENTIFIERS = frozenset(_IDENTIFIERS.split())
EXCEPTIONS = frozenset(_EXCEPTIONS.split())


_SAID_OTHERWISE = {
    "Apache-2.0": (
        "apache",
        "apache 2",
        "apache 2.0",
        "apache-2",
        "apache2",
        "apache license 2.0",
        "apache license, version 2.0",
        "apache license version 2.0",
        "apache license v2.0",
        "apache license, v2.0",
        "apache software license 2.0",
        "the apache license, version 2.0",
    ),
    "BSD-2-Clause": ("bsd 2-clause", "2-clause bsd", "simplified bsd", "bsd-2"),
    "BSD-3-Clause": (
        "3-clause bsd",
        "3-clause bsd license",
        "bsd 3-clause",
        "bsd 3-clause license",
        "bsd 3 clause",
        "bsd-3",
        "modified bsd",
        "modified bsd license",
        "new bsd",
        "new bsd license",
        "revised bsd",
    ),
    "GFDL-1.3-no-invariants-or-later": ("gfdl-niv-1.3+",),
    "ISC": ("isc license", "iscl"),
    "MIT": ("expat", "mit license", "mit/expat", "the mit license", "the mit license (mit)"),
    "MPL-2.0": ("mozilla public license 2.0", "mozilla public license 2.0 (mpl 2.0)", "mpl 2.0", "mpl2"),
    "PSF-2.0": ("psf", "psf license", "psfl", "python software foundation license"),
    "Unlicense": ("the unlicense", "the unlicense (unlicense)"),
    "Artistic-1.0": ("artistic", "artistic-1"),
    "CC0-1.0": ("cc0",),
    "Zlib": ("zlib license",),
}
_FAMILIES = {"GPL": ("1", "2", "3"), "LGPL": ("2", "2.1", "3"), "AGPL": ("3",), "GFDL": ("1.2", "1.3")}


def _spellings() -> dict[str, str]:
    found = {identifier.lower(): identifier for identifier in IDENTIFIERS}
    for identifier, others in _SAID_OTHERWISE.items():
        found |= dict.fromkeys(others, identifier)
    for family, versions in _FAMILIES.items():
        for version in versions:
            full = version if "." in version else f"{version}.0"
            # Debian's and SPDX's older words: without a plus that version alone, with it also later ones.
            for short in {version, full}:
                found[f"{family}-{short}".lower()] = f"{family}-{full}-only"
                found[f"{family}-{short}+".lower()] = f"{family}-{full}-or-later"
    return found


SPELLINGS = _spellings()
"""SPDX identifier by any word for it, in lower case with single spaces."""

CLASSIFIERS = {
    "Academic Free License (AFL)": "Academic Free License",
    "BSD License": "BSD License",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "Zope Public License": "Zope Public License",
    "zlib/libpng License": "Zlib",
}
"""What the last part of a `License ::` classifier means; one that names no version stays a name."""
