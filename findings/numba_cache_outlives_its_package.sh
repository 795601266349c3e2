#!/bin/sh
# numba 0.68.1 (cache=True), pip and setuptools' editable installs: the cache of an uninstalled package hides the package that is
# installed next.
#
# Seen: a package with one cached function is installed, called, uninstalled and installed again with -e. pip uninstall reports
# success; what numba wrote into site-packages/tiny/__pycache__ (.nbi, .nbc) is in no RECORD, so that the folder stays, and a folder
# without __init__.py is a namespace package. Setuptools finds an editable package of the flat layout by a hook at the end of
# sys.meta_path, after that folder: "cannot import name 'half' from 'tiny' (unknown location)", while pip list shows tiny and its path.
# Why a guess goes wrong: in the project's own folder, where one tries it, the import works. Installing with -e again, or with
# --force-reinstall, does not repair it; deleting the folder does. With NUMBA_CACHE_DIR the cache lies elsewhere from the start.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset NUMBA_CACHE_DIR PYTHONPATH
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 numba==0.68.1 setuptools==80.9.0
mkdir -p "$folder/project/tiny" "$folder/elsewhere"
cd "$folder/project"
cat > pyproject.toml <<'TOML'
[build-system]
requires = ["setuptools==80.9.0"]
build-backend = "setuptools.build_meta"
[project]
name = "tiny"
version = "1"
TOML
cat > tiny/__init__.py <<'PYTHON'
from numba import njit


@njit(cache=True)
def half(x):
    return x / 2
PYTHON
cd "$folder/elsewhere"
pip() { "$folder/venv/bin/pip" --disable-pip-version-check "$@"; }
try() { "$folder/venv/bin/python" -c "from tiny import half; print('half(3.0) =', half(3.0))" 2>&1 | tail -1; }
pip install --quiet "$folder/project"
echo "installed: $(try)"
pip uninstall --quiet --yes tiny
left=$("$folder/venv/bin/python" -c "import site, pathlib; [print(p.name) for p in pathlib.Path(site.getsitepackages()[0], 'tiny').rglob('*')]")
echo "left after uninstalling:" $left
pip install --quiet --editable "$folder/project"
said=$(try)
echo "editable, from elsewhere: $said"
echo "editable, in the project: $(cd "$folder/project" && try)"
case $said in
    *"cannot import name 'half' from 'tiny' (unknown location)"*) ;;
    *) echo "an editable install is no longer hidden"; exit 1 ;;
esac
pip install --quiet --force-reinstall --no-deps --editable "$folder/project"
test "$(try)" = "$said" || { echo "installing again repairs it now"; exit 1; }
"$folder/venv/bin/python" -c "import site, shutil; shutil.rmtree(site.getsitepackages()[0] + '/tiny')"
test "$(try)" = "half(3.0) = 1.5"
