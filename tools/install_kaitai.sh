#!/bin/sh
# Installs the Kaitai Struct compiler and its runtime for JavaScript into build/kaitai, for the tests.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/kaitai
npm install --silent --no-fund --no-audit --no-save --no-package-lock --prefix build/kaitai \
    kaitai-struct@0.11.0 kaitai-struct-compiler@0.11.0 js-yaml@4.1.0
