package standin

import java.nio.file.Files
import java.nio.file.Path
import qupath.lib.objects.PathObject

/** After QuPath's ProjectImageEntry. */
class StandinEntry {
    private String id
    String imageName
    StandinImage data
    Path entryPath
    private Map<String, Object> saved = [:]
    private final Map<String, String> metadata = new LinkedHashMap()

    StandinEntry(String id, String imageName, StandinImage data, Path entryPath) {
        this.id = id
        this.imageName = imageName
        this.data = data
        this.entryPath = entryPath
    }

    String getID() {
        return id
    }

    List<URI> getURIs() {
        return data.getServer().getURIs()
    }

    Map<String, String> getMetadataMap() {
        return Collections.unmodifiableMap(metadata)
    }

    void putMetadataValue(String key, String value) {
        metadata.put(key, value)
    }

    String removeMetadataValue(String key) {
        return metadata.remove(key)
    }

    boolean hasImageData() {
        return Files.exists(dataFile())
    }

    Collection<PathObject> readHierarchy() throws IOException {
        return Files.newInputStream(dataFile()).withCloseable { GeoJson.read(it) }
    }

    void saveImageData() throws IOException {
        Files.createDirectories(entryPath)
        Files.newOutputStream(dataFile()).withCloseable { GeoJson.write(it, data.getHierarchy().getObjects()) }
        saved = data.savedProperties()
        data.setChanged(false)
    }

    void reload() {
        Session.restoring = true
        data.restore(readHierarchy() as List, saved)
        Session.restoring = false
    }

    private Path dataFile() {
        return entryPath.resolve('data.qpdata')
    }
}
