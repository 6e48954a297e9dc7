import qupath.lib.io.PathIO
import qupath.lib.objects.classes.PathClass

import static qupath.lib.gui.scripting.QPEx.*

/**
 * Return what a result changes in the image, without changing anything; docs/qupath.md states the rules.
 *
 * `collection`: the JSON of objects.geojson. `threshold`: of the run that the image's objects are from, or null.
 * `fromQuPath`: whether the candidates were exported from this image, so that those which are not there were deleted.
 * `whole`: false after a selection, whose hot spot and regions are not those of the slide.
 */
Map plannedUpdates(Map collection, Double threshold, boolean fromQuPath, boolean whole) {
    def features = collection.features.collect { readFeature(it) }
    def figures = features.findAll { !it.spot && !it.region }
    def regions = whole ? features.findAll { it.region } : []
    def there = objectsById(features.collectMany { [it.id, it.source, it.pointsId] })
    def known = figures.findAll { keyOf(it, there) != null }
    def pairs = known.groupBy { keyOf(it, there) }.collectMany { key, group -> pairsOf(there[key], group) }
    def points = plannedPoints(figures, there)
    def lost = figures.findAll { keyOf(it, there) == null && !points.ids.contains(it.pointsId) }
    def none = known.isEmpty() && points.ids.isEmpty()
    if (none && fromQuPath && !lost.isEmpty())
        refuse("none of the ${figures.size()} objects of these results is in this image; was an older state of it " +
            'put back, or its data file replaced? Classify it again')
    def found = none ? (lost + regions.findAll { !there.containsKey(it.id) }).findAll { !it.core } : []
    def rated = regions.collectMany { now -> there.getOrDefault(now.id, []).collect { [it, now] } }
    return [
        updates: pairs.collect { old, now -> figureUpdate(old, now, threshold) } +
            rated.collect { old, now -> regionUpdate(old, now) } + forgottenRegions(whole, regions*.id),
        added: found.collect { [now: it] } + points.added.collect { it + figureUpdate(it.of, it.now, threshold) } +
            (whole ? features.findAll { it.spot }.collect { [now: it] } : []),
        removed: points.removed + (whole ? allObjects().findAll { isHotSpot(it) } : []),
        told: [
            updated: pairs.size() + rated.size(), added: found.size() + points.added.size(), left: points.left,
            split: points.removed.size(), gone: none ? 0 : lost.size(),
        ],
    ]
}

/** Return what matters of a Feature of objects.geojson. */
Map readFeature(Map feature) {
    // Not feature.properties, which Groovy 6 takes for the properties of the map itself.
    def told = feature.get('properties') ?: [:]
    def metadata = told.metadata ?: [:]
    def measurements = told.measurements ?: [:]
    def classed = told.classification ?: [:]
    def names = (classed.names ?: [classed.name]).findAll { it != null }.collectMany { classParts(it) }
    def source = metadata['slidemitosis.source_id']?.toLowerCase(Locale.ROOT)
    def point = source == null ? null : (source =~ /^([0-9a-f-]{36})#(\d+)$/)
    def ofPoints = point != null && point.matches()
    return [
        json: feature, id: feature.id?.toString()?.toLowerCase(Locale.ROOT), names: names,
        name: names.isEmpty() ? 'Unclassified' : names.join(': '),
        color: classed.color, measurements: measurements, metadata: metadata,
        source: ofPoints ? null : source, pointsId: ofPoints ? point.group(1) : null,
        number: ofPoints ? point.group(2) as int : 0, core: told.objectType == 'tma_core',
        spot: names == ['Hot spot'] && measurements.containsKey('Spot mm2'),
        region: measurements.containsKey('Region mm2'),
    ]
}

/** Return the image's objects that have one of these ids, by id. No others are kept: an image may have millions. */
Map<String, List> objectsById(Collection<String> ids) {
    def wanted = new HashSet(ids)
    return allObjects().findAll { wanted.contains(it.getID().toString()) && (canBeCandidate(it) || it.isTMACore()) }
        .groupBy { it.getID().toString() }
}

/** Return the id by which an object of a result is in the image, or null. The second of two objects with one id has
    come back with another, and names its own as its source. */
String keyOf(Map feature, Map there) {
    return [feature.id, feature.source].find { it != null && there.containsKey(it) }
}

/** Return which object of the image takes which of a result; all have one id. */
List<List> pairsOf(List objects, List features) {
    if (objects.size() == 1 && features.size() == 1)
        return [[objects[0], features[0]]]
    def left = new ArrayList(features)
    return objects.collect { object ->
        def nearest = (left ?: features).min { distance(object.getROI(), it.json.geometry) }
        left.removeAll { it.is(nearest) }
        [object, nearest]
    }
}

/** Return how far the centres of the boxes around two outlines are from each other, in px. */
double distance(roi, Map geometry) {
    def places = placesOf(geometry.coordinates)
    double x = (places*.get(0).max() + places*.get(0).min()) / 2
    double y = (places*.get(1).max() + places*.get(1).min()) / 2
    return Math.hypot(roi.getBoundsX() + roi.getBoundsWidth() / 2 - x, roi.getBoundsY() + roi.getBoundsHeight() / 2 - y)
}

/** Return the places, [x, y] each, in the coordinates of a geometry, however deep. */
List<List> placesOf(List coordinates) {
    return coordinates[0] instanceof Number ? [coordinates] : coordinates.collectMany { placesOf(it) }
}

/** Return what becomes of points objects: those to remove, the points to add for them, and how many stay. */
Map plannedPoints(List figures, Map there) {
    def byPoints = figures.findAll { there.containsKey(it.pointsId) }.groupBy { it.pointsId }
    def plan = [ids: byPoints.keySet(), added: [], removed: [], left: 0]
    byPoints.each { id, group ->
        if (there[id].every { hasPoints(it, group) }) {
            plan.added.addAll(group.findAll { keyOf(it, there) == null }.collect { [now: it, of: there[id][0]] })
            plan.removed.addAll(there[id])
        } else {
            plan.left++
        }
    }
    return plan
}

/** Return whether a points object has the points that it was exported with, which are these objects of a result. */
boolean hasPoints(object, List features) {
    def roi = object.getROI()
    if (!roi.isPoint() || roi.getNumPoints() != features.size())
        return false
    def points = roi.getAllPoints()
    return features.every { feature ->
        def at = feature.json.geometry.coordinates
        def point = feature.number > points.size() ? null : points[feature.number - 1]
        // GeoJSON has two decimals.
        point != null && Math.abs(point.getX() - at[0]) < 0.0101 && Math.abs(point.getY() - at[1]) < 0.0101
    }
}

/** Return what a result changes of a figure; `classes` is null where its class stays. */
Map figureUpdate(old, Map now, Double threshold) {
    def byHand = KEEP_CORRECTIONS && isClassByHand(old, now.name, now.measurements.containsKey('Reviewed'), threshold)
    def told = measured(old, now) { isOurMeasurement(it) || it == 'Reviewed' }
    // What a person said of the object is not in results that were made before.
    if (KEEP_CORRECTIONS)
        told.drop.remove('Reviewed')
    return told + [
        classes: byHand ? null : now.names, color: now.color, kept: byHand && className(old) != now.name,
        metadata: now.metadata.findAll { key, value -> key.startsWith('slidemitosis.') },
    ]
}

Map regionUpdate(old, Map now) {
    return measured(old, now) { isOfRegionRate(it) }
}

/** Return what takes the rates of an earlier run from the regions whose id is not among these. */
List<Map> forgottenRegions(boolean whole, List ids) {
    def earlier = whole ? allObjects().findAll { hasRegionRate(it) && !(it.getID().toString() in ids) } : []
    return earlier.collect { regionUpdate(it, [measurements: [:]]) }
}

/** Return an object and its measurements that are set, and those that are taken away; only `ours` are. */
Map measured(old, Map now, Closure ours) {
    def put = now.measurements.findAll { name, value -> ours(name) }
        .collectEntries { name, value -> [name, value as double] }
    def drop = old.getMeasurements().keySet().findAll { ours(it) && !put.containsKey(it) }
    return [old: old, put: put, drop: new ArrayList(drop)]
}

boolean isOurMeasurement(String name) {
    return name in ['P(atypical)', 'Call threshold', 'P(experts disagree)', 'Upsampled'] || name.startsWith('P(AMF ') ||
        name.startsWith('P(NMF ')
}

/** Return whether a run has given this object, an annotation or a core of a microarray, a rate of its own. */
boolean hasRegionRate(object) {
    return !Double.isNaN(object.getMeasurementList().get('Region mm2'))
}

/** Return whether a measurement, of an object that is a region, is part of its rate. */
boolean isOfRegionRate(String name) {
    return name in ['Mitoses', 'Atypical', 'Normal', 'Uncertain', 'Mitoses per mm2', 'Region mm2'] ||
        name.startsWith('Expected atypical fraction')
}

/** Return new objects of QuPath for those that a plan adds, in its order. They are in no image yet. */
List createdObjects(List<Map> added) {
    if (added.isEmpty())
        return []
    def features = added.collect { readableFeature(it.now.json) }
    def file = File.createTempFile('slidemitosis', '.geojson')
    try {
        writeJson(file, [type: 'FeatureCollection', features: features])
        def byId = new ArrayList(PathIO.readObjects(file)).groupBy { it.getID().toString() }
        return added.collect { part ->
            def object = byId[part.now.id][0]
            if (part.of != null)
                takeAfter(part.of, object, part)
            object
        }
    } finally {
        file.delete()
    }
}

/** Return a Feature as this QuPath reads it without a word: at metadata of a detection 0.5 logs a stack trace. */
Map readableFeature(Map feature) {
    def told = feature.get('properties')
    if (!isVersion('0.5') || told == null || told.objectType == 'annotation')
        return feature
    return feature + [properties: told.findAll { key, value -> key != 'metadata' }]
}

/** Give one point what its points object has by now, but for what is ours. */
void takeAfter(old, object, Map part) {
    setClass(object, part.classes == null ? old.getPathClass() : classOf(part.classes, part.color), old.getColor())
    object.setName(old.getName())
    object.setLocked(old.isLocked())
    def kept = old.getMeasurements().findAll { name, value -> !part.put.containsKey(name) && !(name in part.drop) }
    def list = object.getMeasurementList()
    new ArrayList(object.getMeasurements().keySet()).findAll { !part.put.containsKey(it) }.each { list.remove(it) }
    list.putAll(kept.collectEntries { name, value -> [name, value as double] })
    list.close()
    def theirs = metadataOf(old).findAll { key, value -> !key.startsWith('slidemitosis.') }
    editMetadata(object) { map ->
        new ArrayList(map.keySet()).findAll { !it.startsWith('slidemitosis.') }.each { map.remove(it) }
        map.putAll(theirs)
    }
}

/** Return a class of QuPath. Its colour is that which it has in QuPath, or else the one of the results. */
PathClass classOf(List<String> names, List color) {
    def rgb = color == null || color.size() < 3 ? null :
        (0xff << 24) | ((color[0] as int) << 16) | ((color[1] as int) << 8) | (color[2] as int)
    return names.isEmpty() ? null : PathClass.fromCollection(names, rgb)
}

/** Set a class, and the object's own colour, which QuPath takes away with every class that it sets. */
void setClass(object, PathClass wanted, Integer color) {
    if (object.getPathClass() != wanted)
        object.setPathClass(wanted)
    if (object.getColor() != color)
        object.setColor(color)
}

/** Change an object's metadata, where this QuPath allows it: in 0.5 that of a detection cannot be changed. */
void editMetadata(object, Closure edit) {
    try {
        edit(metadataOf(object))
    } catch (UnsupportedOperationException ignored) {
        // The class and the measurements say the same.
    }
}

/**
 * Do what was planned. `undo` gets what takes each step back, the last one last. No file is read or written. QuPath is
 * told once, at the end, and so makes one step of it that Undo takes back.
 */
void applyUpdates(Map plan, List created, List undo) {
    def hierarchy = getCurrentHierarchy()
    undo << { -> fireHierarchyUpdate() }
    plan.updates.each { part ->
        undo << restorer(part.old)
        updateObject(part)
    }
    if (!plan.removed.isEmpty())
        hierarchy.getSelectionModel().clearSelection()
    undo << { -> created.each { hierarchy.removeObjectWithoutUpdate(it, true) } }
    [plan.added, created].transpose().each { part, object ->
        hierarchy.addObjectBelowParent(part.of?.getParent() ?: hierarchy.getRootObject(), object, false)
    }
    plan.removed.each { object ->
        def parent = object.getParent()
        undo << { -> hierarchy.addObjectBelowParent(parent, object, false) }
        hierarchy.removeObjectWithoutUpdate(object, true)
    }
    fireHierarchyUpdate()
}

void updateObject(Map part) {
    def old = part.old
    if (part.classes != null)
        setClass(old, classOf(part.classes, part.color), old.getColor())
    def list = old.getMeasurementList()
    part.drop.each { list.remove(it) }
    list.putAll(part.put)
    list.close()
    if (part.metadata != null)
        editMetadata(old) { map ->
            new ArrayList(map.keySet()).findAll { it.startsWith('slidemitosis.') && !part.metadata.containsKey(it) }
                .each { map.remove(it) }
            map.putAll(part.metadata)
        }
}

/** Return what gives an object back its class, colour, measurements and metadata of now. */
Closure restorer(object) {
    def name = object.getPathClass()
    def color = object.getColor()
    def values = new LinkedHashMap(object.getMeasurements())
    def keys = new LinkedHashMap(metadataOf(object))
    return { ->
        setClass(object, name, color)
        def list = object.getMeasurementList()
        new ArrayList(object.getMeasurements().keySet()).findAll { !values.containsKey(it) }.each { list.remove(it) }
        list.putAll(values)
        list.close()
        editMetadata(object) { map ->
            if (map != keys) {
                map.clear()
                map.putAll(keys)
            }
        }
    }
}

/** Return what was done to the objects; a part that is none is left out. */
String updateText(Map told, int kept) {
    def parts = [
        [told.added, 'object', 'added'],
        [told.split, 'points object', 'replaced by one object for each point'],
        [kept, 'class', 'set by hand kept'],
        [told.gone, 'object', 'of the results not in the image any more, and so not added'],
        [told.left, 'points object', 'with other points by now left alone'],
    ]
    def further = parts.findAll { it[0] > 0 }.collect { "${plural(it[0], it[1])} ${it[2]}" }
    return (["${plural(told.updated, 'object')} updated"] + further).join(', ')
}
