package qupath.lib.objects

import groovy.transform.CompileStatic
import qupath.lib.common.GeneralTools
import qupath.lib.objects.classes.PathClass
import qupath.lib.roi.GeometryROI

/** Stand-in after QuPath's MeasurementList, which holds floats for detections. */
@CompileStatic
class MeasurementList {
    final Map<String, Number> values = new LinkedHashMap()
    private final boolean floats

    MeasurementList(boolean floats) {
        this.floats = floats
    }

    void put(String name, double value) {
        values.put(name, floats ? (double) ((float) value) : value)
    }

    double get(String name) {
        return values.containsKey(name) ? values.get(name).doubleValue() : Double.NaN
    }

    boolean containsKey(String name) {
        return values.containsKey(name)
    }

    double remove(String name) {
        double found = get(name)
        values.remove(name)
        return found
    }

    void close() {
    }
}

/** Stand-in after QuPath's PathObject. */
@CompileStatic
abstract class PathObject {
    protected UUID id = UUID.randomUUID()
    protected GeometryROI roi
    protected GeometryROI nucleus
    private PathClass pathClass
    private Integer color
    String name
    boolean locked
    PathObject parent
    final Map<String, String> stored = new LinkedHashMap()
    private final MeasurementList list = new MeasurementList(!(this instanceof PathAnnotationObject))

    UUID getID() {
        return id
    }

    GeometryROI getROI() {
        return roi
    }

    GeometryROI getNucleusROI() {
        return nucleus
    }

    PathClass getPathClass() {
        return pathClass
    }

    /** QuPath takes an object's own colour away with any class but none, even with the class that it has. */
    void setPathClass(PathClass pathClass) {
        this.pathClass = pathClass
        if (pathClass != null)
            color = null
    }

    Integer getColor() {
        return color
    }

    void setColor(Integer color) {
        this.color = color
    }

    /** In 0.5 nobody can change that of a detection. */
    Map<String, String> getMetadata() {
        def fixed = GeneralTools.isBefore('0.6') && !(this instanceof PathAnnotationObject)
        return fixed ? Collections.unmodifiableMap(stored) : stored
    }

    MeasurementList getMeasurementList() {
        return list
    }

    Map<String, Number> getMeasurements() {
        return Collections.unmodifiableMap(list.values)
    }

    boolean isCell() {
        return this instanceof PathCellObject
    }

    boolean isTMACore() {
        return this instanceof TMACoreObject
    }

    boolean isRootObject() {
        return this instanceof PathRootObject
    }
}

class PathROIObject extends PathObject {
}

class PathAnnotationObject extends PathROIObject {
}

class PathDetectionObject extends PathROIObject {
}

class PathCellObject extends PathDetectionObject {
}

class PathTileObject extends PathDetectionObject {
}

class TMACoreObject extends PathROIObject {
}

class PathRootObject extends PathObject {
}

/** Stand-in after QuPath's PathObjects, which makes objects. */
@CompileStatic
class PathObjects {
    // paquo looks these up when it is imported.
    static PathObject createAnnotationObject() {
        return new PathAnnotationObject()
    }

    static PathObject createDetectionObject() {
        return new PathDetectionObject()
    }

    static PathObject createTileObject() {
        return new PathTileObject()
    }

    static PathObject createCellObject() {
        return new PathCellObject()
    }

    static PathObject create(String type, UUID id, GeometryROI roi, GeometryROI nucleus) {
        def made = type == 'detection' ? new PathDetectionObject() : type == 'cell' ? new PathCellObject() :
            type == 'tma_core' ? new TMACoreObject() : new PathAnnotationObject()
        made.@id = id
        made.@roi = roi
        made.@nucleus = nucleus
        return made
    }

    static String typeOf(PathObject object) {
        return object.isCell() ? 'cell' : object.isTMACore() ? 'tma_core' :
            object instanceof PathAnnotationObject ? 'annotation' : 'detection'
    }
}
