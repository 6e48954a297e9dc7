package standin

/** After QuPath's ProjectImageEntry. */
class StandinEntry {
    private String id
    String imageName
    StandinImage data
    Map<String, String> metadata = new LinkedHashMap()

    StandinEntry(String id, String imageName, StandinImage data) {
        this.id = id
        this.imageName = imageName
        this.data = data
    }

    String getID() {
        return id
    }

    void putMetadataValue(String key, String value) {
        metadata.put(key, value)
    }
}
