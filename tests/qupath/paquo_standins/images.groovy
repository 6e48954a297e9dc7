package qupath.lib.images

import groovy.transform.CompileStatic
import qupath.lib.objects.hierarchy.PathObjectHierarchy

/** Stand-in after QuPath's ImageData. */
@CompileStatic
class ImageData {
    static enum ImageType {
        BRIGHTFIELD_H_E, BRIGHTFIELD_H_DAB, BRIGHTFIELD_OTHER, FLUORESCENCE, OTHER, UNSET
    }

    final PathObjectHierarchy hierarchy
    final Map<String, Object> properties = new LinkedHashMap()

    ImageData(PathObjectHierarchy hierarchy) {
        this.hierarchy = hierarchy
    }

    Object getProperty(String key) {
        return key == 'hierarchy' ? hierarchy : properties.get(key)
    }

    void setProperty(String key, Object value) {
        properties.put(key, value)
    }
}
