package standin

import qupath.lib.images.servers.ImageServerBuilder

/** After QuPath's ImageServer. */
class StandinServer {
    int width
    int height
    List<URI> uris
    String serverType
    double[] mpp
    ImageServerBuilder.ServerBuilder builder
    String name
    /** Whether QuPath cannot open its file. */
    boolean damaged

    List<URI> getURIs() {
        return uris
    }

    StandinServerMetadata getMetadata() {
        return new StandinServerMetadata(name: name)
    }

    StandinCalibration getPixelCalibration() {
        return new StandinCalibration(mpp: mpp)
    }
}
