package standin

import qupath.lib.images.servers.ImageServerBuilder

/** After QuPath's builders of images that are not just a file: `json` is what it writes of them into a project. */
class StandinBuilder implements ImageServerBuilder.ServerBuilder {
    Map json
}
