#!/bin/sh
# Inside the image's build: installs the named sets of requirements into /opt/retention, compiled and read-only.
set -eu
target=/opt/retention
for set in "$@"; do
    shift
    set -- "$@" --requirement "/requirements/$set.txt"
done
into="/build/bin/pip --python $target/bin/python"
# Spark's client is pure Python and published as source only: the pinned setuptools build it, and go again.
$into install --quiet --require-hashes --only-binary :all: --requirement /requirements/build.txt
$into install --quiet --require-hashes --only-binary :all: --no-binary pyspark-client --no-build-isolation "$@"
$into uninstall --quiet --yes setuptools
# Tests of the libraries, what only compilers read, and the symbols that only a debugger reads (60 MB of Polars and
# zstandard; the wheels that carry shared libraries of others are left alone, as stripping can break what auditwheel
# patched).
find "$target" -depth -type d \( -name tests -o -name include \) ! -path '*.dist-info/*' -exec rm -r {} +
find "$target" -path '*polars_runtime*/*.so' -exec strip --strip-unneeded {} +
find "$target" -path '*/zstandard/*.so' -exec strip --strip-unneeded {} +
python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$target"
rm -r "$target"/bin/*ctivate*
chmod -R a-w,a+rX "$target"
python /requirements/rootfs.py
