package org.locationtech.jts.io

class WKBWriter {
}

class WKBReader {
}
