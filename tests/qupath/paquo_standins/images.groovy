package qupath.lib.images

import groovy.transform.CompileStatic
import qupath.lib.objects.hierarchy.PathObjectHierarchy

/** Stand-in after QuPath's ImageData. */
@CompileStatic
class ImageData {
    static enum ImageType {
        BRIGHTFIELD_H_E, BRIGHTFIELD_H_DAB, BRIGHTFIELD_OTHER, FLUORESCENCE, OTHER, UNSET
    }

    private final PathObjectHierarchy ofImage
    private final Map<String, Object> stored

    ImageData(PathObjectHierarchy ofImage, Map<String, Object> stored) {
        this.ofImage = ofImage
        this.stored = stored
    }

    PathObjectHierarchy getHierarchy() {
        return this.@ofImage
    }

    // A Groovy object has methods of these names, too, by which others find its properties.
    Object getProperty(String key) {
        return this.@stored.get(key)
    }

    void setProperty(String key, Object value) {
        this.@stored.put(key, value)
    }

    Map<String, Object> getProperties() {
        return this.@stored
    }
}
