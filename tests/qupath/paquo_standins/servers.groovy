package qupath.lib.images.servers

interface ImageServer {
}

class ImageServers {
}

interface ImageServerProvider {
}

class ServerTools {
}
